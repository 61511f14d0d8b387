"""The plan of a matrix: a TOML file that names checkpoints and test strategies."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from its import strategies, urls
from its.finite import not_finite

from ..errors import EvalError
from ..figures.sources import MOST_MIXED
from .matrix import BASE, Cell

Count = Annotated[int, msgspec.Meta(ge=1)]


class MatrixPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is measured. `train` gives the served models of each train strategy.

    Several of one strategy are of several training seeds: the first of each strategy share one, the
    second ones share the next, and so on.
    """

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


def folder_of(plan: MatrixPlan, cell: Cell, base: Path) -> Path:
    """Return a cell's run folder; `out` is relative to the plan's own folder."""
    return base / plan.out / cell.name
