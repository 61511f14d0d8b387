"""A task in a file of its own: where its problems are, how they are asked and scored (TOML)."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from its import suggest
from its.answers import KINDS

from ..errors import EvalError
from .files import read_problems
from .hub import INSTRUCTION
from .load import Task

KEYS = {
    "name": str, "data": str, "columns": dict, "instruction": str, "answers": str,
    "scorer": str, "samples": int, "rows": int,
}  # fmt: skip
COLUMNS = ("problem", "answer", "id")


def read_task_file(path: Path) -> Task:
    """Return the task that a TOML file describes; docs/eval.md has its keys.

    Raises:
        EvalError: the file or a key in it is wrong, or the problems cannot be read.
    """
    try:
        found = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise EvalError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvalError(f"{path}: not TOML: {error}") from error
    _check(path, found)
    data = path.parent / found["data"]
    problems = read_problems(data, given=found.get("columns"))
    if found.get("rows", len(problems)) != len(problems):
        raise EvalError(f"{path}: rows = {found['rows']}, and {data} has {len(problems)}")
    return Task(
        found.get("name", path.stem),
        tuple(problems),
        found.get("instruction", INSTRUCTION),
        found.get("answers", "auto"),
        found.get("scorer"),
        found.get("samples"),
    )


def _check(path: Path, found: Mapping[str, Any]) -> None:
    for key, value in found.items():
        if key not in KEYS:
            raise EvalError(f"{path}: {suggest.unknown('key', key, KEYS)}")
        wanted = KEYS[key]
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise EvalError(f"{path}: {key} must be {_NAMED[wanted]}, not {value!r}")
    if "data" not in found:
        raise EvalError(
            f"{path}: `data` is missing: the file with the problems, as in data = 'x.csv'"
        )
    for name, column in found.get("columns", {}).items():
        if name not in COLUMNS:
            raise EvalError(f"{path}: {suggest.unknown('key', name, COLUMNS, '[columns]')}")
        if not isinstance(column, str):
            raise EvalError(f"{path}: columns.{name} must be the name of a column, not {column!r}")
    if (kind := found.get("answers", "auto")) not in KINDS:
        raise EvalError(f"{path}: {suggest.unknown('kind of answers', kind, KINDS)}")
    for name in ("samples", "rows"):
        if found.get(name, 1) < 1:
            raise EvalError(f"{path}: {name} must be at least 1, not {found[name]}")
    name = found.get("name", path.stem)
    if not name or "/" in name or name.startswith("."):
        raise EvalError(
            f"{path}: name = {name!r} names a folder of answers: no `/`, no leading dot"
        )


_NAMED = {str: "text", int: "a whole number", dict: "a table"}
