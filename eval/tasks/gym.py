"""Problems of the library `reasoning-gym`: `gym:NAME`, or `gym:NAME:size=50:seed=7`.

Its tasks make any number of problems by a seed, and most of them check an answer by a verifier of
their own. Where the answer is one number or expression, our grader decides instead.
"""

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, Any

from its import children, suggest

from ..errors import EvalError
from .hub import INSTRUCTION
from .load import Task
from .problem import Problem

SIZE = 100
VERSION = "0.1.25"
PIP = (
    f"pip install 'input-time-scaling[gym]', or without a compiler: pip install --no-deps"
    f" reasoning-gym=={VERSION}"
)

TAGS = (
    "Reason step by step. Put the final answer alone, in the form that is asked for, between"
    " <answer> and </answer>."
)

OURS = frozenset({
    "aiw", "basic_arithmetic", "binary_alternation", "chain_sum", "circuit_logic",
    "complex_arithmetic", "count_bits", "count_primes", "decimal_chain_sum", "dice", "gcd",
    "gsm_symbolic", "largest_island", "lcm", "leg_counting", "letter_counting", "maze",
    "number_sequence", "polynomial_multiplication", "products", "rectangle_count",
    "rotten_oranges", "self_reference", "simple_equations", "simple_geometry",
})  # fmt: skip
"""Tasks whose answer is one number or expression, so that our grader decides.

Their own verifiers compare text, or as that of gsm_symbolic take the first number of the answer.
Not here: where several answers are right (countdown), where the form counts (base_conversion,
fraction_simplification), or where a tolerance is part of the question (decimal_arithmetic).
"""


class GymProcess:
    """A process with the library, started when it is needed and again after it was lost.

    May be called from several threads; one request is answered at a time.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self.close()

    def ask(self, do: str, **request: Any) -> Any:
        """Return the answer to a request; `None` if the process was lost over it.

        Raises:
            EvalError: the library or a package is missing, or it refuses the request.
        """
        with self._lock:
            said = self._exchange(json.dumps({"do": do, **request}))
        if said is None or "ok" in said:
            return None if said is None else said["ok"]
        raise EvalError(_fault(said, str(request.get("name", ""))))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._ended(self._process)

    def _exchange(self, line: str) -> dict[str, Any] | None:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line + "\n")
            process.stdin.flush()
        if answer := process.stdout.readline():
            found: dict[str, Any] = json.loads(answer)
            return found
        error = self._ended(process)
        if "No module named 'reasoning_gym'" in error:
            raise EvalError(f"tasks of the gym need the library reasoning-gym: {PIP}")
        if "Error" in error and process.returncode == 1:
            raise EvalError(f"reasoning-gym does not start: {error.strip().splitlines()[-1]}")
        return None  # it ran out of CPU time or memory

    def _ended(self, process: "subprocess.Popen[str]") -> str:
        """Wait for the process and forget it; return what it wrote on standard error."""
        process.communicate()
        self._process = None
        assert self._errors is not None
        with self._errors as file:
            file.seek(0)
            return file.read()

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None:
            # The library prints, and a full pipe would stop it.
            self._errors = tempfile.TemporaryFile(  # noqa: SIM115 - closed where the process ends
                "w+", encoding="utf-8", errors="replace"
            )
            # A hash seed of its own: some tasks go through sets.
            self._process = subprocess.Popen(
                children.python("eval.tasks.gym_child"),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                text=True, encoding="utf-8",
                env={**children.environment(), "PYTHONHASHSEED": "0"},
            )  # fmt: skip
        return self._process


def tasks() -> list[dict[str, Any]]:
    """Return name, category and the package that is missing (`None`: it works) of every task.

    Raises:
        EvalError: the library is not installed.
    """
    gym = GymProcess()
    try:
        return list(gym.ask("tasks") or ())
    finally:
        gym.close()


def gym_task(name: str, seed: int) -> Task:
    """Return the task `gym:NAME[:option=value...]`; `seed` draws the problems.

    Raises:
        EvalError: there is no such task or option, or a package is missing.
    """
    task, options = parsed(name, seed)
    gym = GymProcess()
    try:
        if "templates" in options:
            options["templates"] = _templates(options["templates"], gym, task)
        rows = gym.ask("rows", name=task, options=options, count=options["size"])
    finally:
        gym.close()
    if rows is None:
        raise EvalError(f"{name}: reasoning-gym ran out of memory over its problems")
    problems = tuple(_problem(task, options["seed"], index, row) for index, row in enumerate(rows))
    return Task(
        name.replace(":", "-"),
        problems,
        INSTRUCTION if task in OURS else TAGS,
        scorer=None if task in OURS else "gym",
        about={"name": task, "options": options, "version": VERSION},
    )


def parsed(name: str, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the library's name of a task, and its options with `size` and `seed`.

    Raises:
        EvalError: an option is not of the form NAME=VALUE.
    """
    task, *given = name.removeprefix("gym:").split(":")
    options: dict[str, Any] = {"size": SIZE, "seed": seed}
    for each in given:
        key, mark, value = each.partition("=")
        if not (key and mark):
            raise EvalError(f"{name}: {each!r} is no option; write gym:{task}:size=50:seed=7")
        options[key] = _value(key, value)
    for key in ("size", "seed"):
        if not isinstance(options[key], int) or options[key] < (key == "size"):
            raise EvalError(f"{name}: {key} must be a whole number, not {options[key]!r}")
    return task, options


def _value(key: str, text: str) -> Any:
    if key == "datasets":
        return text.split(",")
    if key == "templates":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _templates(text: str, gym: GymProcess, task: str) -> list[int]:
    """Return the numbers in `0-49,60`; of a range, those that can be used."""
    if task != "gsm_symbolic":
        raise EvalError(f"gym:{task} has no templates; only gsm_symbolic has")
    usable: Sequence[int] = gym.ask("templates")
    found: list[int] = []
    for part in text.split(","):
        first, mark, last = part.partition("-")
        if not first.isdecimal() or (mark and not last.isdecimal()):
            raise EvalError(f"templates={text}: write numbers and ranges, as in 0-49,60")
        numbers = range(int(first), int(last or first) + 1)
        good = [number for number in numbers if number in usable]
        if not good:
            raise EvalError(
                f"templates={text}: the library does not use {part}; usable are"
                f" {', '.join(map(str, usable))}"
            )
        found += [number for number in good if number not in found]
    return found


def _problem(task: str, seed: int, index: int, row: dict[str, Any]) -> Problem:
    answer = row["answer"]
    gold = "any answer that passes the task's own check" if answer is None else str(answer)
    mark = f"t{row['template']}-" if "template" in row else ""
    kept = {"index": index, **row}
    return Problem(f"{task}-{mark}s{seed}-{index}", row["question"], gold, kept)


def _fault(said: dict[str, Any], name: str) -> str:
    if "missing" in said:
        return f"gym:{name} needs the package {said['missing']}: pip install {said['missing']}"
    if "unknown" in said:
        return suggest.unknown("task of reasoning-gym", said["unknown"], said["names"])
    return f"gym:{name}: {said['error']}"
