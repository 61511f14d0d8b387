"""Where problems come from: a JSONL file, a public data set, or our own generator."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from its.cache import first_seen
from its.extras import needs
from its.suggest import unknown

from ..errors import EvalError
from . import arith
from .hub import HUB_SETS, INSTRUCTION, HubSet, columns
from .problem import Problem

ARITH_ROWS = 200
BRIEFLY = "Calculate in one short line, then put the final answer into \\boxed{}. No explanation."


@dataclass(frozen=True, slots=True)
class Task:
    """A named list of problems; `instruction` stands after each, so that an answer can be read.

    `sha256` is the hash of the problems' ids, texts and answers. `choice`: answers are letters.
    """

    name: str
    problems: tuple[Problem, ...]
    instruction: str = INSTRUCTION
    choice: bool = False

    @property
    def sha256(self) -> str:
        rows = [[p.id, p.problem, p.answer] for p in self.problems]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def load(name: str, *, data: Path | None, seed: int) -> Task:
    """Return the task `name`: a file, `arith`, or a public set (`data` reads it from a file).

    Raises:
        EvalError: there is no such task, or its rows are not what they should be.
    """
    if data is not None:
        public = HUB_SETS.get(name)
        problems = tuple(read_file(data))
        if public is None:
            return Task(name, problems)
        _require_size(public, len(problems), str(data))
        return Task(name, problems, public.instruction, public.choice)
    if name == "arith":
        return Task(name, tuple(arith.problems(ARITH_ROWS, seed)), BRIEFLY)
    if name in HUB_SETS:
        return _remembered(_from_hub(name, HUB_SETS[name]), HUB_SETS[name])
    path = Path(name)
    if path.suffix == ".jsonl":
        return Task(path.stem, tuple(read_file(path)))
    raise EvalError(f"{unknown('task', name, ['arith', *HUB_SETS])} Or give a FILE.jsonl.")


def read_file(path: Path) -> list[Problem]:
    """Return the rows `{id, problem, answer}` of a JSONL file.

    Raises:
        EvalError: the file cannot be read, or a line of it is no such row.
    """
    try:
        lines = path.read_text("utf-8").split("\n")  # text may hold other ends of lines
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"cannot read {path}: {error}") from error
    rows = [_row(line, n, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()]
    return _distinct(rows, str(path))


def write_file(task: Task, path: Path) -> None:
    """Write the problems as rows that `read_file` and `its-sft build --decontaminate` take.

    Raises:
        EvalError: the file cannot be written.
    """
    rows = ({"id": p.id, "problem": p.problem, "answer": p.answer} for p in task.problems)
    try:
        path.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8"
        )
    except OSError as error:
        raise EvalError(f"cannot write {path}: {error.strerror}", 1) from error


def _row(line: str, number: int, at: str) -> Problem:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise EvalError(f"{at}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise EvalError(f"{at}: not an object")
    try:
        return columns("problem", "answer", "id")(row, number)
    except ValueError as error:
        raise EvalError(f"{at}: {error}; rows are id, problem, answer") from error


def _distinct(rows: Iterable[Problem], at: str) -> list[Problem]:
    found: dict[str, Problem] = {}
    for problem in rows:
        if problem.id in found:
            raise EvalError(f"{at}: the id {problem.id!r} stands twice")
        found[problem.id] = problem
    if not found:
        raise EvalError(f"{at}: no problems")
    return list(found.values())


def _from_hub(name: str, wanted: HubSet) -> Task:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise EvalError(needs(f"The public data set {name}", "eval")) from error
    load_rows: Callable[..., Any] = load_dataset
    try:
        rows = list(load_rows(wanted.id, wanted.config, split=wanted.split))
    except Exception as error:
        # The library raises what its transports raise; whatever it was, the remedy is the same.
        asked = (
            f" {wanted.id} is gated: ask for it on its page, then log in with `hf auth login`."
            if wanted.gated
            else ""
        )
        raise EvalError(
            f"cannot load {wanted.id} from the hub ({type(error).__name__}: {error}).{asked}"
            " Or give its-eval run the problems with --data FILE.jsonl (id, problem, answer)"
        ) from error
    _require_size(wanted, len(rows), wanted.id)
    try:
        problems = [wanted.read(row, number) for number, row in enumerate(rows)]
    except ValueError as error:
        raise EvalError(f"{wanted.id}: {error}: its columns were changed") from error
    found = tuple(_distinct(problems, wanted.id))
    return Task(name, found, wanted.instruction, wanted.choice)


def _require_size(wanted: HubSet, rows: int, at: str) -> None:
    if rows != wanted.rows:
        raise EvalError(f"{at} has {rows} rows where {wanted.rows} were expected")


def _remembered(task: Task, source: HubSet) -> Task:
    """Say on standard error if a public set is not what it was when first loaded here."""
    before = first_seen(f"{source.id} {source.config or ''} {source.split}", task.sha256)
    if before not in (None, task.sha256):
        print(
            f"its-eval: {source.id} has other content than when it was first loaded here (SHA-256"
            f" {task.sha256}, then {before}): figures are not comparable",
            file=sys.stderr,
        )
    return task
