"""The columns of the report page: each is one model of one run."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from ..figures.figures import Figures
from ..figures.scores import RunRow


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """One model of one run, the `number`-th. `own`: not a panel's member, shown by its ballots.

    `samples` are asked of each problem, at least one. `outcomes` has (correct, tokens) of each
    sample; tokens are `None` where they are not known.
    """

    key: str
    number: int
    own: bool
    samples: int
    row: RunRow
    outcomes: Sequence[tuple[bool, int | None]]

    @property
    def figures(self) -> Figures:
        return self.row.figures

    @property
    def task(self) -> str:
        return self.row.task

    @property
    def context(self) -> str:
        return self.row.context

    @property
    def run(self) -> str:
        return self.row.run

    @property
    def name(self) -> str:
        return f"{self.run}: {self.figures.name}"

    @property
    def label(self) -> str:
        return f"{self.key} {self.figures.name}"


def key_of(number: int) -> str:
    """Return a column's letters: A to Z, AA, AB, ..."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = ascii_uppercase[rest] + letters
    return letters
