"""A plan of a co-design experiment: a TOML file, with sections that make a smaller one of it."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from its import strategies as known_strategies
from its.finite import not_finite

from ..errors import EvalError

Count = Annotated[int, msgspec.Meta(ge=1)]
Some = msgspec.Meta(min_length=1)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; an unknown key is an error."""


class PlanBase(_Table, frozen=True):
    """The model before training: a folder or hub id, or a `command` that makes a folder `{out}`."""

    model: str | None = None
    command: str | None = None


class PlanData(_Table, frozen=True):
    """Training rows and test problems.

    `arithmetic`: our own, made by a generator; else `build` are the options of `its-sft build` that
    name the rows, and `test` is a task of `its-eval`, or a JSONL file.
    """

    arithmetic: bool = False
    rows: Count = 1000
    test_problems: Count = 1000
    build: tuple[str, ...] = ()
    test: str | None = None
    task: str | None = None


class PlanTraining(_Table, frozen=True):
    """`file` is an Axolotl file; `set` changes keys of it. `command` gets `{file}`."""

    file: str
    command: str
    set: Mapping[str, Any] = {}


class PlanEngine(_Table, frozen=True):
    """`command` gets `{model}`, `{name}`, `{port}`; `{number}` counts engines that run together."""

    command: str
    starts_within: int = 600


class PlanMeasure(_Table, frozen=True):
    """How every cell is asked."""

    max_tokens: Count
    concurrency: Count
    temperature: float = 0.0
    top_p: float | None = None
    samples: Count = 1
    timeout: float = 3600.0


class PlanVote(_Table, frozen=True):
    """The panel of the checkpoints that were trained with a context, on `problems` of the test.

    `engine` is each one's command where they run together, if it is not the plan's.
    """

    problems: Count | None = None
    samples: Count = 4
    temperature: float = 0.7
    engine: str | None = None


class ExperimentPlan(_Table, frozen=True):
    """All of it. `contexts` are kinds of personas: `bank` (ours) or `numbers` (made here)."""

    name: str
    base: PlanBase
    data: PlanData
    train: PlanTraining
    engine: PlanEngine
    measure: PlanMeasure
    vote: PlanVote | None = None
    strategies: Annotated[tuple[str, ...], Some] = known_strategies.PAPER
    contexts: Annotated[tuple[str, ...], Some] = ("bank",)
    seeds: Annotated[tuple[int, ...], Some] = (0,)
    base_row: bool = True
    port: Annotated[int, msgspec.Meta(ge=1024, le=60000)] = 18600
    hours: str = ""

    def __post_init__(self) -> None:
        if (self.base.model is None) == (self.base.command is None):
            raise ValueError("base needs `model` or `command`, and not both")
        for key in ("strategies", "contexts", "seeds"):
            named = getattr(self, key)
            if len(set(named)) < len(named):
                raise ValueError(f"{key} names one twice")
        for name in self.strategies:
            if needs := known_strategies.get(name).needs:
                told = f"needs {', '.join(needs)}, and a plan names no file of them"
                raise ValueError(f"the strategy {name!r} {told}")
        for kind in self.contexts:
            if kind not in ("bank", "numbers"):
                raise ValueError(f"no contexts {kind!r}; there are: bank, numbers")
            if kind == "numbers" and not self.data.arithmetic:
                raise ValueError("contexts 'numbers' are made with data.arithmetic only")
        if not self.data.arithmetic and not (
            self.data.build and (self.data.task or self.data.test)
        ):
            raise ValueError("data needs `build` and `test` or `task`, or arithmetic = true")


def read_experiment(path: Path, section: str | None = None) -> ExperimentPlan:
    """Read a plan; `section` names a table of the file whose keys replace the plan's own.

    Raises:
        EvalError: it cannot be read, has no such section, or a key is wrong.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvalError(f"cannot read {path}: {error}") from error
    if key := not_finite(table):
        raise EvalError(f"{path}: {key}: must be a finite number, not nan or inf")
    sections = table.pop("sections", {})
    if section is not None:
        known = sections if isinstance(sections, dict) else {}
        if not isinstance(known.get(section), dict):
            told = ", ".join(known) or "none"
            raise EvalError(f"{path}: no section {section!r}; there are: {told}")
        table = _merged(table, known[section])
    try:
        plan = msgspec.convert(table, ExperimentPlan)
        build = tuple(_expanded(word, "data.build") for word in plan.data.build)
        test = _expanded(plan.data.test, "data.test") if plan.data.test else None
    except (msgspec.ValidationError, ValueError) as error:
        raise EvalError(f"{path}: {error}") from error
    return msgspec.structs.replace(
        plan, data=msgspec.structs.replace(plan.data, build=build, test=test)
    )


def _expanded(text: str, key: str) -> str:
    """Return `text` with the environment's variables in it."""
    found = os.path.expandvars(text)
    if "$" in found:
        raise ValueError(f"{key}: {text} names a variable that is not set; export it")
    return found


def _merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `table` with the keys of `changes`, table by table."""
    merged = dict(table)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged
