"""Put a context in front of training questions, by the code that serves them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from its import prompts, strategies
from its.personas.bank import Bank
from its.types import Layout

MEMBER = "train"
"""Stands for the member's name in the seed: training rows belong to no served model."""


class RowError(Exception):
    """A row that has no question; the message names its line."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """How questions get their contexts: the strategy, where it stands, and the seed."""

    strategy: str
    layout: Layout
    seed: int


def compose(lines: Iterable[str], how: Contexts, bank: Bank) -> Iterator[dict[str, Any]]:
    """Yield for each JSON row `{problem}` or `{question}` the row with its composed messages.

    Raises:
        RowError: a line is no such row.
    """
    for number, line in enumerate(lines, 1):
        row = _row(line, number)
        question = row.get("problem") or row.get("question")
        if not isinstance(question, str):
            raise RowError(f"line {number}: neither `problem` nor `question` is text")
        yield {**row, **_composed(question, how, bank)}


def _row(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise RowError(f"line {number}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise RowError(f"line {number}: not an object")
    return row


def _composed(question: str, how: Contexts, bank: Bank) -> dict[str, Any]:
    context = strategies.choose(how.strategy, question, bank=bank, seed=how.seed, member=MEMBER)
    asked = [{"role": "user", "content": question}]
    return {
        "messages": prompts.compose(asked, context, how.layout),
        "strategy": how.strategy,
        "persona": context.persona if context else None,
        "domain": context.domain if context else None,
    }
