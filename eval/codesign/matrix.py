"""Train strategy x test strategy: the paper's claim, measured cell by cell.

Input-Time Scaling (arXiv 2508.13654), section 4: contexts in both stages help, in one stage only
they hurt. A plan (TOML) names the models of each train strategy - one, or one for each training
seed - and the test strategies. `base` is the model before training: a row, no side of a contrast.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import msgspec

from its import strategies, urls
from its.finite import not_finite

from ..errors import EvalError
from ..figures import resampling
from ..figures.estimators import Interval
from ..figures.figures import by_problem
from ..figures.sources import MOST_MIXED
from ..samples import RunFolder

BASE = "base"

Count = Annotated[int, msgspec.Meta(ge=1)]


class MatrixPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is measured. `train` gives the served models of each train strategy."""

    task: str
    base_url: str
    out: str
    train: Mapping[str, str | Sequence[str]]
    test: Sequence[str]
    data: str | None = None
    limit: Count | None = None
    samples: Count = 1
    temperature: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    max_tokens: Count | None = None
    seed: int = 0
    concurrency: Count = 8
    retries: Annotated[int, msgspec.Meta(ge=0)] = 3
    timeout: Annotated[float, msgspec.Meta(ge=1)] = 3600.0
    accept_failed: bool = False
    max_mixed: Annotated[float, msgspec.Meta(ge=0, le=1)] = MOST_MIXED

    def __post_init__(self) -> None:
        if wrong := urls.fault(self.base_url):
            shown = urls.without_secret(self.base_url)[:100]
            raise ValueError(f"base_url: {shown!r} {wrong}")
        for name in [*self.train, *self.test]:
            if not (name == BASE and name in self.train):
                strategies.get(name)  # raises, and names the nearest one


@dataclass(frozen=True, slots=True)
class Cell:
    """A model trained one way and asked one way."""

    train: str
    test: str
    model: str

    @property
    def name(self) -> str:
        """The cell's folder."""
        return f"{self.model.replace('/', '_')}-{self.test}"

    @property
    def co_designed(self) -> bool:
        """Contexts in both stages, or in none."""
        return self.train != BASE and self.trained_with_context == self.asked_with_context

    @property
    def trained_with_context(self) -> bool:
        """Whether contexts stood beside the training questions; false for the base."""
        return self.train != BASE and strategies.adds_context(self.train)

    @property
    def asked_with_context(self) -> bool:
        return strategies.adds_context(self.test)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Contexts in both stages less contexts in one, paired by problem."""

    name: str
    both: float
    one: float
    difference: Interval
    p: float


def read_matrix_plan(path: Path) -> MatrixPlan:
    """Read a plan.

    Raises:
        EvalError: the file cannot be read, or a key of it is wrong.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        if key := not_finite(table):
            raise EvalError(f"{path}: {key}: must be a finite number, not nan or inf")
        return msgspec.convert(table, MatrixPlan)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvalError(f"cannot read {path}: {error}") from error
    except msgspec.ValidationError as error:
        raise EvalError(f"{path}: {error}") from error


def cells(plan: MatrixPlan) -> Iterator[Cell]:
    """Yield the cells, row by row."""
    for train, models in plan.train.items():
        for model in [models] if isinstance(models, str) else models:
            for test in plan.test:
                yield Cell(train, test, model)


def pooled(found: Mapping[Cell, Mapping[str, float]]) -> dict[Cell, Mapping[str, float]]:
    """Return one cell for each train and test strategy: a problem's mean over the models."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in found:
        groups.setdefault((cell.train, cell.test), []).append(cell)
    return {
        Cell(train, test, ", ".join(cell.model for cell in group)): _mean(
            [found[cell] for cell in group]
        )
        for (train, test), group in groups.items()
    }


def folder_of(plan: MatrixPlan, cell: Cell, base: Path) -> Path:
    """Return a cell's run folder; `out` is relative to the plan's own folder."""
    return base / plan.out / cell.name


def shares(run: RunFolder) -> dict[str, float]:
    """Return each problem's share of correct samples.

    Raises:
        EvalError: the run is not finished.
    """
    samples = list(run.outcomes().values())
    settings = run.settings()
    if len(samples) < settings["problems"] * settings["samples"]:
        raise EvalError(f"{run.path} is not finished")
    return {key: fmean(s.correct for s in group) for key, group in by_problem(samples).items()}


def interval(found: Mapping[str, float]) -> Interval:
    """Return the mean of one cell with its interval."""
    return resampling.mean_interval(list(found.values()))


def contrasts(found: Mapping[Cell, Mapping[str, float]]) -> list[Contrast]:
    """Hold "a context in both stages" against each way of having it in one, and against none.

    A group's share of a problem is the mean over its cells; groups without cells are left out.
    """
    both = _group(found, trained=True, asked=True)
    groups = (
        ("in training only", _group(found, trained=True, asked=False)),
        ("in testing only", _group(found, trained=False, asked=True)),
        ("in neither", _group(found, trained=False, asked=False)),
    )
    made = []
    for name, group in groups:
        if not both or not group:
            continue
        keys = [key for key in both if key in group]
        x, y = [group[key] for key in keys], [both[key] for key in keys]
        difference = resampling.paired_difference(x, y)
        p = resampling.paired_p(x, y)
        made.append(Contrast(name, fmean(y), fmean(x), difference, p))
    return made


def _group(
    found: Mapping[Cell, Mapping[str, float]], *, trained: bool, asked: bool
) -> dict[str, float]:
    picked = [
        cell_shares
        for cell, cell_shares in found.items()
        if cell.train != BASE
        and cell.trained_with_context == trained
        and cell.asked_with_context == asked
    ]
    return _mean(picked) if picked else {}


def _mean(every: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: fmean(each[key] for each in every if key in each) for key in every[0]}


def result(found: Mapping[Cell, Mapping[str, float]]) -> dict[str, Any]:
    """Return cells and contrasts as `matrix.json` has them; `models`: each model by itself."""
    whole = pooled(found)
    return {
        "cells": [_told(cell, each) for cell, each in whole.items()],
        "models": [_told(cell, each) for cell, each in found.items()],
        "contrasts": [msgspec.to_builtins(contrast) for contrast in contrasts(whole)],
    }


def _told(cell: Cell, found: Mapping[str, float]) -> dict[str, Any]:
    return {
        "train": cell.train, "test": cell.test, "model": cell.model,
        "co_designed": cell.co_designed, "problems": len(found),
        "pass_at_1": msgspec.to_builtins(interval(found)),
    }  # fmt: skip
