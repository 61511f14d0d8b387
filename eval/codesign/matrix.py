"""Train strategy x test strategy: the paper's claim, measured cell by cell.

Input-Time Scaling (arXiv 2508.13654), section 4: contexts in both stages help, in one stage only
they hurt. `base` is the model before training: a row, no side of a contrast.

The unit of a claim about training is the checkpoint (`figures.permutation.blocked`): another
training seed would have given another checkpoint. The unit of a claim about one checkpoint is the
problem. Both stand beside each other, as they answer different questions. The first checkpoint of
each training strategy shares its seed with the first ones of the others, and so on: they are a
block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, TypeAlias

from its import strategies

from ..figures import intervals
from ..figures.estimators import Interval
from ..figures.intervals import PairedTest
from ..figures.permutation import GroupTest, blocked

BASE = "base"

Shares: TypeAlias = Mapping[str, float]
"""A share of right samples for each problem."""


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


CellShares: TypeAlias = Mapping[Cell, Shares]
"""Each model's cells."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """`both` stages against `one`, as means over checkpoints.

    `training` tests it over checkpoints: a claim about training. `here` pairs the problems of these
    very checkpoints: it says nothing about others.
    """

    name: str
    both: float
    one: float
    training: GroupTest
    here: PairedTest

    @property
    def p(self) -> float | None:
        """The p-value over checkpoints; `None` where there are too few."""
        return self.training.p

    def as_json(self) -> dict[str, Any]:
        """Return the contrast as JSON has it; what checkpoints cannot say is null, with `why`."""
        test = self.training
        ends = asdict(test.interval) if test.interval else {"low": None, "high": None}
        return {
            "name": self.name, "both": self.both, "one": self.one,
            "difference": {**ends, "value": test.difference}, "p": test.p,
            "smallest_p": test.smallest, "checkpoints": [test.treated, test.others],
            "why": test.why, "problems": asdict(self.here),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class WithinCheckpoint:
    """One checkpoint asked with a context, less the same without: paired by problem."""

    train: str
    model: str
    context: float
    none: float
    tested: PairedTest


@dataclass(frozen=True, slots=True)
class _Trained:
    """A checkpoint: its place among those of its training strategy, and a share a problem."""

    train: str
    model: str
    block: int
    with_context: bool
    context: Shares | None
    none: Shares | None


def contrasts(found: CellShares) -> list[Contrast]:
    """Return what can be said of contexts in both stages, from each model's cells.

    Both stages against training only, testing only and neither; and the interaction: what a context
    at test time adds to checkpoints trained with contexts, less what it adds to the others. A
    contrast without cells is left out.
    """
    every = _checkpoints(found)
    with_context = [each for each in every if each.with_context]
    without = [each for each in every if not each.with_context]
    both = [(each, each.context) for each in with_context]
    made = [
        _within_group(with_context),
        _between("in testing only", both, [(each, each.context) for each in without]),
        _between("in neither", both, [(each, each.none) for each in without]),
        _interaction(with_context, without),
    ]
    return [each for each in made if each is not None]


def within(found: CellShares) -> list[WithinCheckpoint]:
    """Return, for each checkpoint asked both ways, what a context changed."""
    made = []
    for each in _checkpoints(found, base=True):
        if each.context and each.none:
            x, y = _paired(each.none, each.context)
            tested = intervals.paired(x, y)
            made.append(WithinCheckpoint(each.train, each.model, fmean(y), fmean(x), tested))
    return made


def _checkpoints(found: CellShares, *, base: bool = False) -> list[_Trained]:
    models: dict[tuple[str, str], list[Cell]] = {}
    for cell in found:
        if cell.train != BASE or base:
            models.setdefault((cell.train, cell.model), []).append(cell)
    places: dict[str, int] = {}
    made = []
    for (train, model), cells in models.items():
        block = places[train] = places.get(train, -1) + 1
        context = [found[cell] for cell in cells if cell.asked_with_context]
        none = [found[cell] for cell in cells if not cell.asked_with_context]
        made.append(
            _Trained(train, model, block, cells[0].trained_with_context,
                     mean_shares(context), mean_shares(none))
        )  # fmt: skip
    return made


def _paired(one: Shares, two: Shares) -> tuple[list[float], list[float]]:
    keys = [key for key in one if key in two]
    return [one[key] for key in keys], [two[key] for key in keys]


def _within_group(group: Sequence[_Trained]) -> Contrast | None:
    """Both stages against training only: each checkpoint is its own block."""
    pairs = [(each.context, each.none) for each in group if each.context and each.none]
    if not pairs:
        return None
    values = [_level(shares) for pair in pairs for shares in pair]
    blocks = [number for number in range(len(pairs)) for _ in range(2)]
    test = blocked(values, [True, False] * len(pairs), blocks)
    x, y = _paired(_mean([none for _, none in pairs]), _mean([context for context, _ in pairs]))
    return Contrast("in training only", fmean(y), fmean(x), test, intervals.paired(x, y))


def _between(
    name: str,
    both: Sequence[tuple[_Trained, Shares | None]],
    others: Sequence[tuple[_Trained, Shares | None]],
) -> Contrast | None:
    first = [(each, shares) for each, shares in both if shares]
    second = [(each, shares) for each, shares in others if shares]
    if not first or not second:
        return None
    everyone = [*first, *second]
    test = blocked(
        [_level(shares) for _, shares in everyone],
        [True] * len(first) + [False] * len(second),
        [each.block for each, _ in everyone],
    )
    one, two = _mean([shares for _, shares in second]), _mean([shares for _, shares in first])
    x, y = _paired(one, two)
    return Contrast(name, fmean(y), fmean(x), test, intervals.paired(x, y))


def _interaction(group: Sequence[_Trained], others: Sequence[_Trained]) -> Contrast | None:
    first = [(each, each.context, each.none) for each in group if each.context and each.none]
    second = [(each, each.context, each.none) for each in others if each.context and each.none]
    if not first or not second:
        return None
    changes = [_level(context) - _level(none) for _, context, none in [*first, *second]]
    test = blocked(
        changes,
        [True] * len(first) + [False] * len(second),
        [each.block for each, _, _ in [*first, *second]],
    )
    one, two = fmean(changes[len(first) :]), fmean(changes[: len(first)])
    # (both - training only) - (testing only - neither) = (both + neither) - (testing + training)
    up = _halves([context for _, context, _ in first], [none for _, _, none in second])
    down = _halves([context for _, context, _ in second], [none for _, _, none in first])
    here = intervals.paired(*_paired(down, up))
    share = here.difference
    doubled = Interval(2 * share.value, 2 * share.low, 2 * share.high)
    return Contrast("interaction", two, one, test, PairedTest(doubled, here.p))


def _halves(one: Sequence[Shares], two: Sequence[Shares]) -> dict[str, float]:
    first, second = _mean(one), _mean(two)
    return {key: (first[key] + second[key]) / 2 for key in first if key in second}


def _mean(every: Sequence[Shares]) -> dict[str, float]:
    return mean_shares(every) or {}


def _level(shares: Shares) -> float:
    return fmean(shares.values())


def mean_shares(every: Sequence[Shares]) -> dict[str, float] | None:
    """Return each problem's mean over models or cells; `None` of nothing."""
    if not every:
        return None
    return {key: fmean(each[key] for each in every if key in each) for key in every[0]}


def groups(found: CellShares) -> dict[tuple[str, str], list[Cell]]:
    """Return the cells of each train and test strategy: one for each model."""
    made: dict[tuple[str, str], list[Cell]] = {}
    for cell in found:
        made.setdefault((cell.train, cell.test), []).append(cell)
    return made


@dataclass(frozen=True, slots=True)
class PooledCell:
    """A train and a test strategy over its models: the mean, and its interval.

    The interval covers other problems and, where there are several checkpoints, other seeds.
    """

    cell: Cell
    problems: int
    checkpoints: int
    pass_at_1: Interval

    def as_json(self) -> dict[str, Any]:
        """Return the cell as JSON has it."""
        return {
            "train": self.cell.train, "test": self.cell.test, "model": self.cell.model,
            "co_designed": self.cell.co_designed, "problems": self.problems,
            "checkpoints": self.checkpoints, "pass_at_1": asdict(self.pass_at_1),
        }  # fmt: skip


def pooled(found: CellShares) -> list[PooledCell]:
    """Return one cell for each train and test strategy."""
    return [_pooled(cells, found) for cells in groups(found).values()]


def _pooled(cells: Sequence[Cell], found: CellShares) -> PooledCell:
    each = [found[cell] for cell in cells]
    shares = _mean(each)
    named = Cell(cells[0].train, cells[0].test, ", ".join(cell.model for cell in cells))
    mean = intervals.mean_interval(list(shares.values()))
    wide = intervals.over_seeds(mean, [_level(one) for one in each])
    return PooledCell(named, len(shares), len(cells), wide)


def result(found: CellShares) -> dict[str, Any]:
    """Return the whole matrix as `matrix.json` has it; `models` has each model by itself."""
    return {
        "cells": [each.as_json() for each in pooled(found)],
        "models": [_pooled([cell], found).as_json() for cell in found],
        "contrasts": [each.as_json() for each in contrasts(found)],
        "within": [asdict(each) for each in within(found)],
    }
