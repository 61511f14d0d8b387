"""Put a context in front of training questions, by the code that serves them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from its import prompts, strategies
from its.strategies import Shelf
from its.types import Context, Layout

from ..errors import DataError
from ..rows import MEMBER, QuestionRow
from ..writing.journal import PersonaFile


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How questions get their contexts: the strategy, where it stands, and the seed."""

    strategy: str
    layout: Layout
    seed: int
    shelf: Shelf


def compose(
    rows: Iterable[QuestionRow], how: ContextOptions, written: PersonaFile | None = None
) -> Iterator[dict[str, Any]]:
    """Yield each of `rows` with its composed messages.

    `written` are the personas that a model wrote; without them the bank serves.

    Raises:
        DataError: `written` has no persona for a row, or one of another strategy.
    """
    for row in rows:
        context = _picked(row, how) if written is None else _written(row, written, how)
        yield {
            **row.fields,
            "messages": prompts.compose(row.chat, context, how.layout),
            "strategy": how.strategy,
            "drawn": context.strategy if context else None,
            "persona": context.persona if context else None,
            "domain": context.domain if context else None,
        }


def _picked(row: QuestionRow, how: ContextOptions) -> Context | None:
    pick = strategies.choose(
        how.strategy, row.question, shelf=how.shelf, seed=how.seed, member=MEMBER
    )
    return pick.context(how.seed) if pick else None


def _written(row: QuestionRow, written: PersonaFile, how: ContextOptions) -> Context:
    found = written.get(row.question_sha256)
    if found is None:
        raise DataError(f"line {row.number}: no persona was written for its question")
    if found.asked != how.strategy:
        raise DataError(
            f"line {row.number}: its persona was written for the strategy {found.asked!r}"
        )
    return Context(found.persona, found.strategy, found.source, found.domain, how.seed)
