"""`its-eval report --html`: one self-contained page over runs, with every answer to look at."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from its.answers.algebra.workers import Workers

from ..figures.scores import RunRow, run_names, samples_by_model
from ..samples import RunFolder
from .columns import ReportColumn, key_of
from .problems import ProblemStore


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One run: its name on the page, and what `run.json` says of it."""

    name: str
    about: Mapping[str, Any]

    @property
    def command(self) -> str:
        """The command as one would type it: quoted, and without the path of the program."""
        try:
            words = shlex.split(self.about["command"])
        except ValueError:
            return str(self.about["command"])
        if words and Path(words[0]).name in ("its-eval", "__main__.py"):
            words[0] = "its-eval"
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page shows."""

    title: str
    runs: Sequence[ReportRun]
    columns: Sequence[ReportColumn]
    matrix: Mapping[str, Any] | None
    store: ProblemStore

    def tasks(self) -> dict[str, list[ReportColumn]]:
        """Return the columns of each task: figures of different tasks never stand in one table."""
        found: dict[str, list[ReportColumn]] = {}
        for column in self.columns:
            found.setdefault(column.task, []).append(column)
        return found


def read_report(
    rows: Sequence[RunRow],
    folders: Sequence[Path],
    title: str,
    store: ProblemStore,
    graders: Workers,
) -> Report:
    """Read runs into `store`, and the matrix of a folder of cells. `rows` are those of `folders`.

    Raises:
        EvalError: there is no run in a folder.
    """
    columns: list[ReportColumn] = []
    runs = []
    for number, (name, place) in enumerate(run_names(folders).items()):
        run, own = RunFolder(place), [row for row in rows if row.run == name]
        runs.append(ReportRun(name, run.about()))
        if own:  # a run without answers has no figures
            columns += _columns(number, run, own, len(columns), graders)
            store.read(number, run, own[-1].task, graders)
    return Report(title, runs, columns, _matrix(folders), store)


def _columns(
    number: int, run: RunFolder, rows: Sequence[RunRow], before: int, graders: Workers
) -> Iterator[ReportColumn]:
    asked, samples = int(run.settings()["samples"]), samples_by_model(run, graders)
    for index, row in enumerate(rows):
        own = index == len(rows) - 1
        outcomes = [(each.correct, each.tokens) for each in samples[row.figures.name]]
        yield ReportColumn(key_of(before + index), number, own, asked, row, outcomes)


def _matrix(folders: Sequence[Path]) -> Mapping[str, Any] | None:
    for file in (folder / "matrix.json" for folder in folders):
        if file.is_file():
            return dict(msgspec.json.decode(file.read_bytes()))
    return None
