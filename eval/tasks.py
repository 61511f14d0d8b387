"""Where problems come from: a JSONL file, a public data set, or our own generator.

Only ids of data sets and loaders stand here, never a problem text.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import arith
from .problem import Problem

ARITH_ROWS = 200

INSTRUCTION = "Reason step by step and put the final answer into \\boxed{}."
BRIEFLY = "Calculate in one short line, then put the final answer into \\boxed{}. No explanation."


class TaskError(Exception):
    """A task that cannot be loaded; the message names file, line and remedy."""


@dataclass(frozen=True, slots=True)
class Task:
    """A named list of problems; `instruction` stands after each, so that an answer can be read.

    `sha256` is the hash of the problems' ids, texts and answers.
    """

    name: str
    problems: tuple[Problem, ...]
    instruction: str = INSTRUCTION

    @property
    def sha256(self) -> str:
        rows = [[p.id, p.problem, p.answer] for p in self.problems]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class HubSet:
    """A data set on the Hugging Face hub: its id, split, columns and number of rows."""

    id: str
    split: str
    rows: int
    key: str = "id"
    problem: str = "problem"
    answer: str = "answer"


HUB_SETS = {
    "aime24": HubSet("HuggingFaceH4/aime_2024", "train", 30),
    "aime25": HubSet("MathArena/aime_2025", "train", 30, key="problem_idx"),
}


def load(name: str, *, data: Path | None, seed: int) -> Task:
    """Return the task `name`: a file, `arith`, or a public set (`data` reads it from a file).

    Raises:
        TaskError: there is no such task, or its rows are not what they should be.
    """
    if data is not None:
        return Task(name, tuple(read_file(data)))
    if name == "arith":
        return Task(name, tuple(arith.problems(ARITH_ROWS, seed)), BRIEFLY)
    if name in HUB_SETS:
        return Task(name, tuple(_from_hub(HUB_SETS[name])))
    path = Path(name)
    if path.suffix == ".jsonl":
        return Task(path.stem, tuple(read_file(path)))
    known = ", ".join(["arith", *HUB_SETS])
    raise TaskError(f"no task {name!r}: give one of {known}, or a FILE.jsonl")


def read_file(path: Path) -> list[Problem]:
    """Return the rows `{id, problem, answer}` of a JSONL file.

    Raises:
        TaskError: the file cannot be read, or a line of it is no such row.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"cannot read {path}: {error}") from error
    rows = [_row(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()]
    return _distinct(rows, str(path))


def _row(line: str, at: str) -> Problem:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise TaskError(f"{at}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise TaskError(f"{at}: not an object")
    return _problem(row, HubSet("", "", 0), at)


def _problem(row: dict[str, Any], columns: HubSet, at: str) -> Problem:
    values = []
    for column in (columns.key, columns.problem, columns.answer):
        value = row.get(column)
        if not isinstance(value, str | int | float) or str(value).strip() == "":
            raise TaskError(f"{at}: {column!r} is missing or empty; rows are id, problem, answer")
        values.append(str(value))
    return Problem(*values)


def _distinct(rows: Iterable[Problem], at: str) -> list[Problem]:
    found: dict[str, Problem] = {}
    for problem in rows:
        if problem.id in found:
            raise TaskError(f"{at}: the id {problem.id!r} stands twice")
        found[problem.id] = problem
    if not found:
        raise TaskError(f"{at}: no problems")
    return list(found.values())


def _from_hub(wanted: HubSet) -> list[Problem]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise TaskError("public data sets need the extra `eval`: pip install '.[eval]'") from error
    load_rows: Callable[..., Any] = load_dataset
    try:
        rows = list(load_rows(wanted.id, split=wanted.split))
    except Exception as error:
        # The library raises what its transports raise; whatever it was, the remedy is the same.
        raise TaskError(
            f"cannot load {wanted.id} from the hub ({type(error).__name__}: {error});"
            " give the problems with --data FILE.jsonl (id, problem, answer)"
        ) from error
    if len(rows) != wanted.rows:
        raise TaskError(f"{wanted.id} has {len(rows)} rows where {wanted.rows} were expected")
    problems = [_problem(row, wanted, f"{wanted.id}[{n}]") for n, row in enumerate(rows)]
    return _distinct(problems, wanted.id)
