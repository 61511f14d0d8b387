"""What a build reports of its rows: things that are no errors and that nobody meant."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from its import strategies
from its.manifest import Personas
from its.overlap import normal

from .raw import digest

SHOWN = 3
"""Rows that are named for each notice; the rest is counted."""

LEAST_EFFECTIVE = 0.05
"""Effective contexts a row below which a build warns."""

HASHES = re.compile(r"^####[^\S\n]*[^#\s][^\n]*\s*\Z", re.MULTILINE)
MARKS = re.compile(r"<\|[A-Za-z_][\w .:-]*\|>|<｜[^<>｜]{1,40}｜>|\[/?INST\]|</?s>")
"""What looks like a special token where no tokenizer is named."""


class Notices:
    """Gathers them row by row; `special` are the special tokens, where they are known."""

    def __init__(self, special: frozenset[str] | None = None) -> None:
        self._special = _pattern(special) if special else MARKS
        self._questions: set[bytes] = set()
        self._found: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, row: Mapping[str, Any]) -> None:
        """Look at one row as it is written."""
        name, answer = str(row["id"]), str(row["messages"][-1]["content"])
        key = digest(normal(row["question"]))
        if key in self._questions:
            self._note("have a question that another row has too", name)
        self._questions.add(key)
        text = "\n".join(str(turn["content"]) for turn in row["messages"])
        if found := self._special.search(text):
            self._note(
                "hold the text of a special token, which the tokenizer takes for one",
                f"{name} has {found[0]}",
            )
        if HASHES.search(answer) and "boxed{" not in answer:
            self._note(
                "end with `#### N` and no box, and would teach to end so; give GSM8K's with"
                " --source gsm8k --from FILE, which makes a box of it",
                name,
            )

    def __iter__(self) -> Iterator[str]:
        """Yield a sentence for each kind."""
        for what, names in self._found.items():
            more = ", ..." if self._counts[what] > SHOWN else ""
            yield f"{self._counts[what]:,} rows {what}: {', '.join(names)}{more}"

    def _note(self, what: str, name: str) -> None:
        self._counts[what] += 1
        names = self._found.setdefault(what, [])
        if len(names) < SHOWN:
            names.append(name)


def _pattern(special: frozenset[str]) -> re.Pattern[str]:
    # Added tokens such as <think> are meant to be in answers; runs of spaces are no marks either.
    marks = sorted(text for text in special if text.strip() and text not in MEANT)
    return re.compile("|".join(map(re.escape, marks)) or r"(?!)")


MEANT = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>"})


def of_the_bank(strategy: str, said: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yield a warning where a strategy that retrieves found nothing for some rows."""
    by_bank = sum(number for (source, _), number in said.items() if source == "bank")
    if by_bank and strategies.get(strategy).needs:
        yield (
            f"{by_bank:,} of {said.total():,} rows have a persona of the bank: no note of --notes"
            " fits them that is short enough and made from another question"
        )


def constant(personas: Personas, rows: int) -> Iterator[str]:
    """Yield a warning where contexts hardly vary: a checkpoint learns to read over a constant."""
    if personas.effective is not None and personas.effective < LEAST_EFFECTIVE * rows:
        yield (
            f"{personas.distinct:,} different contexts ({personas.effective:,.1f} effective) for"
            f" {rows:,} rows, which is less than {LEAST_EFFECTIVE:.0%}. To vary them more, give a"
            " larger --bank, have a model write them (--personas generate), or take another"
            " --strategy"
        )
