"""Where problems come from: a file, a task file, a public data set, or a generator."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from its.cache import first_seen
from its.extras import needs
from its.suggest import unknown

from ..errors import EvalError
from . import arith
from .files import read_problems
from .hub import FILES, HUB_SETS, INSTRUCTION, HubSet
from .problem import Problem

ARITH_ROWS = 200
BRIEFLY = "Calculate in one short line, then put the final answer into \\boxed{}. No explanation."

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Task:
    """A named list of problems; `instruction` stands after each, so that an answer can be read.

    `sha256` is the hash of the problems' ids, texts and answers. `answers` is the kind of the
    answers. `scorer` names what decides whether an answer is right, if it is not our grader
    (`eval.grading.scorers`), and `about` is what the scorer has to know. `samples` are the answers
    to each problem that the task asks for, if it says so.
    """

    name: str
    problems: tuple[Problem, ...]
    instruction: str = INSTRUCTION
    answers: str = "auto"
    scorer: str | None = None
    samples: int | None = None
    about: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def sha256(self) -> str:
        rows = [[p.id, p.problem, p.answer] for p in self.problems]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def load(name: str, *, data: Path | None, seed: int) -> Task:
    """Return the task `name`: see `its-eval tasks`. `data` has a public set's problems.

    Raises:
        EvalError: there is no such task, or its rows are not what they should be.
    """
    if name.startswith("gym:"):
        from .gym import gym_task

        if data is not None:
            raise EvalError(f"--data: {name} makes its own problems; leave one of them out")
        return gym_task(name, seed)
    if data is not None:
        return _with_data(name, data)
    if name == "arith":
        return Task(name, tuple(arith.problems(ARITH_ROWS, seed)), BRIEFLY)
    if name in HUB_SETS:
        return _remembered(_from_hub(name, HUB_SETS[name]), HUB_SETS[name])
    path = Path(name)
    if path.suffix == ".toml":
        from .task_file import read_task_file

        return read_task_file(path)
    stem = path.name.removesuffix(".gz")
    if path.is_file() or stem.endswith(ENDINGS):
        return Task(stem.rpartition(".")[0] or stem, tuple(read_problems(path)))
    raise EvalError(
        f"{unknown('task', name, ['arith', *HUB_SETS])} Or give gym:NAME, or a {FILES}."
    )


def write_file(task: Task, path: Path) -> None:
    """Write the problems as rows that `load` and `its-sft build --decontaminate` take.

    A worked solution that a problem comes with is written as well, to train on.

    Raises:
        EvalError: the file cannot be written.
    """
    try:
        path.write_text(
            "".join(json.dumps(_written(p), ensure_ascii=False) + "\n" for p in task.problems),
            "utf-8",
        )
    except OSError as error:
        raise EvalError(f"cannot write {path}: {error.strerror}", 1) from error


def _written(problem: Problem) -> dict[str, str]:
    row = {"id": problem.id, "problem": problem.problem, "answer": problem.answer}
    solution = problem.row.get("solution")
    return {**row, "solution": solution} if isinstance(solution, str) else row


def _with_data(name: str, data: Path) -> Task:
    """Return a task whose problems are in a file: of a public set, in its columns or in ours."""
    public = HUB_SETS.get(name)
    problems = tuple(read_problems(data, public.read if public else None))
    if public is None:
        return Task(name, problems)
    _require_size(public, len(problems), str(data))
    return _of_set(name, public, problems)


def _of_set(name: str, wanted: HubSet, problems: Iterable[Problem]) -> Task:
    kind = "choice" if wanted.choice else "auto"
    return Task(name, tuple(problems), wanted.instruction, kind)


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
            " Or give its-eval run the problems with --data FILE, in the set's own columns"
        ) from error
    _require_size(wanted, len(rows), wanted.id)
    try:
        problems = [wanted.read(row, number) for number, row in enumerate(rows)]
    except ValueError as error:
        raise EvalError(f"{wanted.id}: {error}: its columns were changed") from error
    ids = [problem.id for problem in problems]
    if twice := next((key for key in ids if ids.count(key) > 1), None):
        raise EvalError(f"{wanted.id}: the id {twice!r} stands twice: the set was changed")
    return _of_set(name, wanted, problems)


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
