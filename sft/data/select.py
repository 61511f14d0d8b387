"""Which rows of a source become the training set, and why the others do not."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from its import prompts
from its.overlap import normal
from its.rows import Fields
from its.types import Layout

from ..errors import DataError
from .decontaminate import Overlap, TestQuestions
from .examples import Columns, RowShape, TrainingExample, recognise
from .raw import Bad, Raw, digest
from .sets import FILTERS, Source

Fits: TypeAlias = Callable[[TrainingExample], bool]

SHOWN = 3
"""Bad rows that are named; the rest is counted."""


@dataclass(frozen=True, slots=True)
class RowSpec:
    """What decides the rows."""

    name: str
    source: Source | None
    columns: Columns
    ignored: frozenset[str]
    rows: int | None
    filters: tuple[str, ...]
    tests: TestQuestions
    seed: int
    skip_bad: bool
    held_out: int = 0
    layout: Layout = field(default_factory=Layout)
    """What every row gets; a row with a system text of its own that is another one is bad."""


@dataclass(slots=True)
class Selection:
    """The numbers of the chosen rows in the order of their seeded hashes, and what was left out.

    `held_out` are those of `numbers` that are not trained on.
    """

    shape: RowShape
    numbers: list[int]
    counts: Counter[str]
    sha256: str
    contaminated: list[tuple[int, Overlap]]
    bad: list[str] = field(default_factory=list)
    held_out: frozenset[int] = frozenset()


class _Pass:
    """One pass over all rows."""

    def __init__(self, raw: Raw, wanted: RowSpec) -> None:
        self._raw, self._wanted = raw, wanted
        self._source = hashlib.sha256()
        self._salt = f"rows {wanted.seed} ".encode()
        self.shape: RowShape | None = wanted.source.shape if wanted.source else None
        self.keys: list[tuple[bytes, int]] = []
        self.counts: Counter[str] = Counter()
        self.contaminated: list[tuple[int, Overlap]] = []
        self.bad: list[str] = []

    @property
    def sha256(self) -> str:
        return self._source.hexdigest()

    def take(self, number: int, fields: Fields | Bad) -> None:
        """Decide about one row.

        Raises:
            DataError: it cannot be used, and bad rows are not to be skipped.
        """
        self.counts["read"] += 1
        example = fields if isinstance(fields, Bad) else self._example(fields)
        if example is None:
            self.counts["of another domain"] += 1
        elif isinstance(example, Bad):
            self._bad(number, example)
        else:
            content = digest(example.messages)
            self._source.update(content)
            if not self._left_out(number, example):
                self.keys.append((hashlib.sha256(self._salt + content).digest()[:16], number))

    def _example(self, fields: Fields) -> TrainingExample | Bad | None:
        source = self._wanted.source
        if source is not None and not source.wanted(fields):
            return None
        if self.shape is None:
            shape = recognise(fields, self._wanted.columns, self._wanted.ignored)
            if isinstance(shape, Bad):
                return shape
            self.shape = shape
        found = self.shape(fields)
        if isinstance(found, Bad) or not prompts.other_system(found.messages, self._wanted.layout):
            return found
        return Bad(
            "has a system text of its own, and --system gives every row another; take it out of"
            " the row, or leave --system out"
        )

    def _bad(self, number: int, bad: Bad) -> None:
        reason = f"{self._raw.at(number)}: {bad.reason}"
        if not self._wanted.skip_bad:
            raise DataError(f"{reason}; mend the row, or leave such rows out with --skip-bad")
        self.counts["bad"] += 1
        if len(self.bad) < SHOWN:
            self.bad.append(reason)

    def _left_out(self, number: int, example: TrainingExample) -> bool:
        for name in self._wanted.filters:
            if not FILTERS[name][0](example):
                self.counts[f"left out by {name}"] += 1
                return True
        for question in example.questions:
            overlap = self._wanted.tests.overlap(question)
            if overlap is not None:
                self.counts["in a test set"] += 1
                self.contaminated.append((number, overlap))
                return True
        return False


def select(
    raw: Raw, wanted: RowSpec, on_row: Callable[[], Any], fits: Fits | None = None
) -> Selection:
    """Choose the rows: the first `wanted.rows` of those kept, in the order of a seeded hash.

    The hash is of the row's content, so that a set is the same wherever its source lies, and a
    smaller set is the head of a larger one. `fits` tells whether a row is short enough.

    Raises:
        DataError: a row is bad and bad rows are not to be skipped, or there are not enough.
    """
    found = _Pass(raw, wanted)
    for number, fields in raw:
        found.take(number, fields)
        on_row()
    if not found.counts["read"]:
        raise DataError(f"{wanted.name}: the source has no rows")
    kept = found.counts["kept"] = len(found.keys)
    numbers = [number for _, number in sorted(found.keys)]
    if fits is not None and found.shape is not None:
        numbers = _fitting(numbers, raw, found, wanted, fits)
        kept = len(numbers)
    if kept == 0 or (wanted.rows is not None and kept < wanted.rows):
        raise DataError(_too_few(wanted, found.counts, found.bad))
    assert found.shape is not None
    numbers = numbers[: wanted.rows]
    return Selection(
        found.shape, numbers, found.counts, found.sha256, found.contaminated, found.bad,
        _held_out(numbers, raw, found.shape, wanted.held_out),
    )  # fmt: skip


def _fitting(
    numbers: Sequence[int], raw: Raw, found: _Pass, wanted: RowSpec, fits: Fits
) -> list[int]:
    """Return the first rows that are short enough; longer ones before them are counted."""
    assert found.shape is not None
    kept: list[int] = []
    for number in numbers:
        if len(kept) == wanted.rows:
            break
        example = found.shape(raw.fetch(number))
        if isinstance(example, Bad):
            raise DataError(f"{raw.at(number)}: changed while it was read")
        if fits(example):
            kept.append(number)
        else:
            found.counts["left out by --max-tokens"] += 1
    return kept


def _held_out(numbers: Sequence[int], raw: Raw, shape: RowShape, wanted: int) -> frozenset[int]:
    """Return the last rows whose question no other row has: else a trained question is asked.

    Raises:
        DataError: there are not so many, or no row would be left to train on.
    """
    if not wanted:
        return frozenset()
    questions = {number: _question(raw, shape, number) for number in numbers}
    often = Counter(questions.values())
    alone = [number for number in numbers if often[questions[number]] == 1]
    if len(alone) < wanted or wanted >= len(numbers):
        raise DataError(
            f"--hold-out {wanted:,}: of the {len(numbers):,} rows drawn, {len(alone):,} have a"
            " question of their own, and some must be left to train on; hold out fewer"
        )
    return frozenset(alone[-wanted:])


def _question(raw: Raw, shape: RowShape, number: int) -> bytes:
    example = shape(raw.fetch(number))
    if isinstance(example, Bad):
        raise DataError(f"{raw.at(number)}: changed while it was read")
    return digest(normal(example.question))


def _too_few(wanted: RowSpec, counts: Counter[str], bad: Sequence[str]) -> str:
    told = ", ".join(f"{number:,} {name}" for name, number in counts.items() if name != "kept")
    needed = f"{wanted.rows:,} rows" if wanted.rows is not None else "a row"
    left = counts["kept"] - counts["left out by --max-tokens"]
    rest = f" First bad rows: {'; '.join(bad)}." if bad else ""
    return (
        f"{wanted.name} needs {needed} and {left:,} are left ({told}).{rest} Ask for"
        " fewer with --rows, or give a larger source"
    )
