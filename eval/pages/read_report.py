"""`its-eval report --html`: one self-contained page over runs, with every answer to look at."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from its.answers.algebra.workers import Workers

from ..figures.scores import samples_by_model, scores
from ..samples import RunFolder, run_folders
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
    folders: Sequence[Path], title: str, store: ProblemStore, graders: Workers
) -> Report:
    """Read runs into `store`, and the matrix of a folder of cells.

    Raises:
        EvalError: there is no run in a folder.
    """
    places = run_folders(folders)
    short = Counter(place.name for place in places)
    columns: list[ReportColumn] = []
    runs = []
    for number, place in enumerate(places):
        name = place.name if short[place.name] == 1 else str(place)
        run = RunFolder(place)
        runs.append(ReportRun(name, run.about()))
        columns += _columns(number, name, run, len(columns), graders)
        store.read(number, run, graders)
    return Report(title, runs, columns, _matrix(folders), store)


def _columns(
    number: int, name: str, run: RunFolder, before: int, graders: Workers
) -> Iterator[ReportColumn]:
    settings, samples = run.settings(), samples_by_model(run, graders)
    found = scores(run, graders)
    for index, (context, figures) in enumerate(found):
        yield ReportColumn(
            key_of(before + index), number, name, str(settings["task"]), context,
            index == len(found) - 1, int(settings["samples"]), figures,
            [(sample.correct, sample.tokens) for sample in samples[figures.name]],
        )  # fmt: skip


def _matrix(folders: Sequence[Path]) -> Mapping[str, Any] | None:
    for file in (folder / "matrix.json" for folder in folders):
        if file.is_file():
            return dict(msgspec.json.decode(file.read_bytes()))
    return None
