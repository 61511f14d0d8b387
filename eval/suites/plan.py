"""The file of a suite: which tasks, which models, and the options of `its-eval run` for them."""

import inspect
import json
import math
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from its import suggest

from ..asking.commands import run
from ..errors import EvalError

KEYS = ("out", "run", "tasks", "models")
OF_THE_SUITE = {"task", "model", "out", "as_json"}
"""Parameters of `run` that the suite gives itself."""


@dataclass(frozen=True, slots=True)
class SuiteCell:
    """One task with one model; `options` are those of `its-eval run`."""

    task: str
    model: str
    folder: Path
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A task or a model: its name for `run`, its label for people, and its options."""

    name: str
    label: str
    options: Mapping[str, Any]


def read_suite(path: Path) -> list[SuiteCell]:
    """Return the cells of a suite: each task with each model. Paths are relative to the file.

    Raises:
        EvalError: the file or a key in it is wrong.
    """
    try:
        found = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise EvalError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvalError(f"{path}: not TOML: {error}") from error
    for key in found:
        if key not in KEYS:
            raise EvalError(f"{path}: {suggest.unknown('key', key, KEYS)}")
    out = found.get("out", f"runs/{path.stem}")
    if not isinstance(out, str):
        raise EvalError(f"{path}: out must be a folder, not {out!r}")
    tasks, models = (_entries(path, found, key) for key in ("tasks", "models"))
    for_all = _options(path, "[run]", found.get("run", {}))
    cells = []
    for task in tasks:
        for model in models:
            # Sampling is a matter of the model, so the model's own options win.
            options = {**for_all, **task.options, **model.options}
            if "base_url" not in options:
                raise EvalError(f"{path}: model {model.label!r} has no base_url, nor has [run]")
            folder = path.parent / out / _folder(f"{task.label}-{model.label}")
            cells.append(SuiteCell(_task(path, task.name), model.name, folder, options))
    return cells


def _entries(path: Path, found: Mapping[str, Any], key: str) -> Sequence[_Entry]:
    """Return the tasks or the models: names, or tables with a `name`."""
    given = found.get(key)
    if not isinstance(given, list) or not given:
        raise EvalError(f"{path}: {key} must be a list with at least one name or table")
    entries: list[_Entry] = []
    for number, each in enumerate(given, 1):
        at = f"{key} number {number}"
        table = {"name": each} if isinstance(each, str) else each
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            raise EvalError(f"{path}: {at} has no `name`")
        label = table.get("label", table["name"])
        if not isinstance(label, str) or not label:
            raise EvalError(f"{path}: {at}: label must be a name, not {label!r}")
        if any(_folder(entry.label) == _folder(label) for entry in entries):
            raise EvalError(f"{path}: {at}: {label!r} stands twice; give one of them a `label`")
        rest = {name: value for name, value in table.items() if name not in ("name", "label")}
        entries.append(_Entry(table["name"], label, _options(path, at, rest)))
    return entries


def _folder(label: str) -> str:
    return "".join(char if char.isalnum() or char in "-_.=,+" else "_" for char in label).strip(".")


def _task(path: Path, name: str) -> str:
    """Return a task that is a file relative to the suite's as a path."""
    beside = path.parent / name
    return str(beside) if beside.is_file() else name


def _options(path: Path, at: str, given: Any) -> dict[str, Any]:
    """Check options by the parameters of `run`; return them as `run` takes them."""
    if not isinstance(given, dict):
        raise EvalError(f"{path}: {at} must be a table")
    known = {
        name: parameter
        for name, parameter in inspect.signature(run).parameters.items()
        if name not in OF_THE_SUITE
    }
    found = {}
    for key, value in given.items():
        name = "answer_kind" if key == "answers" else key.replace("-", "_")
        if name not in known:
            raise EvalError(f"{path}: {at}: {suggest.unknown('option', key, sorted(known))}")
        found[name] = _value(f"{path}: {at}: {key}", value, known[name].annotation, path.parent)
    return found


def _value(at: str, value: Any, annotation: Any, base: Path) -> Any:
    """Return an option's value as `run` takes it, checked as the command line would check it."""
    kind, *about = get_args(annotation)
    kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if isinstance(value, dict) and str in kinds:  # extra_body
        return json.dumps(value)
    if Path in kinds and isinstance(value, str):
        return base / value
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) not in kinds:
        wanted = " or ".join(_NAMED[each] for each in kinds if each in _NAMED)
        raise EvalError(f"{at} must be {wanted}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise EvalError(f"{at} must be a finite number, not {value!r}")
    low, high = (getattr(about[0], name, None) if about else None for name in ("min", "max"))
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low}" + (f" and at most {high}" if high is not None else "")
        raise EvalError(f"{at} must be {bounds}, not {value!r}")
    return value


_NAMED = {str: "text", int: "a whole number", float: "a number", bool: "true or false",
          Path: "a file"}  # fmt: skip
