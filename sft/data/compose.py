"""Put a context in front of training questions, by the code that serves them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from its import prompts, strategies
from its.strategies import Options, Shelf
from its.types import Context, Layout

from ..errors import DataError
from ..rows import MEMBER, QuestionRow
from ..writing.journal import PersonaFile


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How questions get their contexts: the strategy, where it stands, the seed, the options."""

    strategy: str
    layout: Layout
    seed: int
    shelf: Shelf
    options: Options | None = None
    """The strategy's own; `None`: its defaults."""

    @property
    def record(self) -> dict[str, Any]:
        """What a manifest keeps of the options, and of the files that the strategy needs."""
        by = strategies.get(self.strategy)
        options = by.read({}) if self.options is None else self.options
        return by.record(options, self.shelf)

    def pick(self, question: str) -> Context | None:
        """Return the context of a training question; `None` if the strategy adds none.

        It is picked for the question without the instruction, as in serving.
        """
        pick = strategies.choose(
            self.strategy, prompts.bare(question, self.layout),
            shelf=self.shelf, seed=self.seed, member=MEMBER, options=self.options,
        )  # fmt: skip
        return pick.context(self.seed) if pick else None


def compose(
    rows: Iterable[QuestionRow], how: ContextOptions, written: PersonaFile | None = None
) -> Iterator[dict[str, Any]]:
    """Yield each of `rows` with its composed messages.

    `written` are the personas that a model wrote; without them the bank serves.

    Raises:
        DataError: `written` has no persona for a row, or one of another strategy.
    """
    for row in rows:
        context = how.pick(row.question) if written is None else _written(row, written, how)
        yield {
            **row.fields,
            "messages": prompts.compose(row.chat, context, how.layout),
            "strategy": how.strategy,
            "drawn": context.strategy if context else None,
            "persona": context.persona if context else None,
            "domain": context.domain if context else None,
            "source": context.source if context else None,
        }


def _written(row: QuestionRow, written: PersonaFile, how: ContextOptions) -> Context:
    found = written.get(row.question_sha256)
    if found is None:
        raise DataError(f"line {row.number}: no persona was written for its question")
    if found.asked != how.strategy:
        raise DataError(
            f"line {row.number}: its persona was written for the strategy {found.asked!r}"
        )
    return Context(found.persona, found.strategy, found.source, found.domain, how.seed)
