"""Which rows of a source become the training set, and why the others do not."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .decontaminate import Overlap, TestQuestions
from .examples import Columns, Example, Shape, recognise
from .raw import Bad, Fields, Raw, SourceError, digest
from .sources import FILTERS, Source

SHOWN = 3
"""Bad rows that are named; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What decides the rows."""

    name: str
    source: Source | None
    columns: Columns
    rows: int | None
    filters: tuple[str, ...]
    tests: TestQuestions
    seed: int
    skip_bad: bool


@dataclass(slots=True)
class Selection:
    """The numbers of the chosen rows in the order of their seeded hashes, and what was left out."""

    shape: Shape
    numbers: list[int]
    counts: Counter[str]
    sha256: str
    contaminated: list[tuple[int, Overlap]]
    bad: list[str] = field(default_factory=list)


class _Pass:
    """One pass over all rows."""

    def __init__(self, raw: Raw, wanted: Wanted) -> None:
        self._raw, self._wanted = raw, wanted
        self._source = hashlib.sha256()
        self._salt = f"rows {wanted.seed} ".encode()
        self.shape: Shape | None = wanted.source.shape if wanted.source else None
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
            SourceError: it cannot be used, and bad rows are not to be skipped.
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

    def _example(self, fields: Fields) -> Example | Bad | None:
        source = self._wanted.source
        if source is not None and not source.wanted(fields):
            return None
        if self.shape is None:
            shape = recognise(fields, self._wanted.columns)
            if isinstance(shape, Bad):
                return shape
            self.shape = shape
        return self.shape(fields)

    def _bad(self, number: int, bad: Bad) -> None:
        reason = f"{self._raw.at(number)}: {bad.reason}"
        if not self._wanted.skip_bad:
            raise SourceError(f"{reason}; mend the row, or leave such rows out with --skip-bad")
        self.counts["bad"] += 1
        if len(self.bad) < SHOWN:
            self.bad.append(reason)

    def _left_out(self, number: int, example: Example) -> bool:
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


def select(raw: Raw, wanted: Wanted, on_row: Callable[[], Any]) -> Selection:
    """Choose the rows: the first `wanted.rows` of those kept, in the order of a seeded hash.

    The hash is of the row's content, so that a set is the same wherever its source lies, and a
    smaller set is the head of a larger one.

    Raises:
        SourceError: a row is bad, or there are not enough.
    """
    found = _Pass(raw, wanted)
    for number, fields in raw:
        found.take(number, fields)
        on_row()
    kept = len(found.keys)
    found.counts["kept"] = kept
    if kept == 0 or (wanted.rows is not None and kept < wanted.rows):
        raise SourceError(_too_few(wanted, found.counts, found.bad))
    assert found.shape is not None
    numbers = [number for _, number in sorted(found.keys)][: wanted.rows]
    return Selection(
        found.shape, numbers, found.counts, found.sha256, found.contaminated, found.bad
    )


def _too_few(wanted: Wanted, counts: Counter[str], bad: Sequence[str]) -> str:
    told = ", ".join(f"{number:,} {name}" for name, number in counts.items() if name != "kept")
    needed = f"{wanted.rows:,} rows" if wanted.rows is not None else "a row"
    rest = f" First bad rows: {'; '.join(bad)}." if bad else ""
    return (
        f"{wanted.name} needs {needed} and {counts['kept']:,} are left ({told}).{rest} Ask for"
        " fewer with --rows, or give a larger source"
    )
