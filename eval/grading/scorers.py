"""What decides whether an answer is right, where it is not our grader.

A task names its scorer; `task.json` in a run's folder keeps the name and what the scorer has to
know, so that a run is graded again, and its ballots too, without the task's files. Scorers of your
own are found by the entry point `input_time_scaling.scorers` (docs/eval.md, Your own scorer).
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeAlias

from its import suggest
from its.answers.reading.boxes import boxed
from its.answers.reading.thinking import spoken
from its.files import atomic_write

from ..errors import EvalError
from ..samples import EvalSample
from ..tasks.gym import OURS, VERSION, GymProcess
from ..tasks.load import Task

GROUP = "input_time_scaling.scorers"
TASK_FILE = "task.json"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer, as a scorer sees it. All of it but `gold` and `row` was written by a model.

    `text` is the whole answer without its thinking (empty for a ballot whose text was not kept),
    `answer` what was read from it, if anything. `row` is the row of the task's file.
    """

    problem: str
    gold: str
    answer: str | None
    text: str
    row: Mapping[str, Any] = field(default_factory=dict)


OwnScorer: TypeAlias = Callable[[Attempt], bool | float]
"""A scorer of a user's own: true or at least 1 is right."""

Scorer: TypeAlias = Callable[[EvalSample], bool | None]
"""Tells whether a sample is right; `None` leaves it to our grader."""

_TAGGED = re.compile(r"<answer>\s?(.*?)\s?</answer>", re.DOTALL)
_WRAPPED = re.compile(r"\\(?:text|texttt|textbf|mathrm|mathtt)\{([^{}]*)\}")


def names() -> list[str]:
    """Return the names of all scorers that are installed."""
    return sorted({"gym", *(point.name for point in entry_points(group=GROUP))})


def require(name: str) -> None:
    """Refuse a scorer that there is not.

    Raises:
        EvalError: nothing of that name is installed.
    """
    if name not in names():
        raise EvalError(f"{suggest.unknown('scorer', name, names())} See docs/eval.md")


def keep_task(task: Task, folder: Path) -> None:
    """Write what the scorer of a run needs into its folder; nothing where our grader decides.

    Raises:
        OSError: it cannot be written.
    """
    if task.scorer is None:
        return
    rows = {problem.id: problem.row for problem in task.problems}
    about = {"scorer": task.scorer, "about": task.about, "rows": rows}
    text = json.dumps(about, ensure_ascii=False, default=str) + "\n"
    atomic_write(folder / TASK_FILE, text.encode("utf-8", "backslashreplace"))


def scorer_of(folder: Path) -> Scorer | None:
    """Return the scorer of the run in a folder; `None` where our grader decides.

    Raises:
        EvalError: the scorer is not installed, or its file is broken.
    """
    file = folder / TASK_FILE
    if not file.is_file():
        return None
    try:
        kept = json.loads(file.read_text("utf-8"))
        name, about, rows = str(kept["scorer"]), dict(kept["about"]), dict(kept["rows"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvalError(f"{file} is not a task's ({type(error).__name__})") from error
    return _made(name, about, rows)


def scorer_for(task: Task) -> Scorer | None:
    """Return the scorer of a task; `None` where our grader decides.

    Raises:
        EvalError: it is not installed.
    """
    if task.scorer is None:
        return None
    return _made(task.scorer, task.about, {each.id: each.row for each in task.problems})


def final_text(sample: EvalSample) -> str | None:
    """Return the final answer as it was written, for verifiers that read text.

    That is what stands in the last `<answer>` tags, else in the last box, else the answer read.
    """
    said = spoken(sample.text or "", opened=False)
    if tagged := _TAGGED.findall(said):
        return str(tagged[-1]).strip()
    answer = boxed(said) or sample.answer
    return _WRAPPED.sub(r"\1", answer).strip() if answer is not None else None


def _made(name: str, about: Mapping[str, Any], rows: Mapping[str, Any]) -> Scorer:
    if name == "gym":
        return _gym(about, rows)
    require(name)
    point = next(point for point in entry_points(group=GROUP) if point.name == name)
    try:
        own: OwnScorer = point.load()
    except Exception as error:
        raise EvalError(
            f"the scorer {name!r} ({point.value}) cannot be loaded: {error!r}"
        ) from error
    return _own(name, own, rows)


def _own(name: str, own: OwnScorer, rows: Mapping[str, Any]) -> Scorer:
    failed = False

    def score(sample: EvalSample) -> bool:
        nonlocal failed
        said = spoken(sample.text or "", opened=False)
        row = rows.get(sample.id, {})
        try:
            return float(own(Attempt(sample.prompt, sample.gold, sample.answer, said, row))) >= 1
        except Exception as error:  # the answer was paid for: it is kept, and counts as wrong
            if not failed:
                print(
                    f"its-eval: the scorer {name!r} failed on problem {sample.id!r}: {error!r}."
                    " Such answers count as wrong. Mend it, then grade again: its-eval regrade",
                    file=sys.stderr,
                )
            failed = True
            return False

    return score


def _gym(about: Mapping[str, Any], rows: Mapping[str, Any]) -> Scorer:
    gym, name, options = GymProcess(), about["name"], about["options"]

    def score(sample: EvalSample) -> bool | None:
        row = rows.get(sample.id)
        if row is None:
            raise EvalError(f"task.json knows no problem {sample.id!r}: the run was changed")
        if row["task"] in OURS:
            return None
        found = gym.ask(
            "score", name=name, options=options, index=row["index"],
            question=row["question"], answer=final_text(sample),
        )  # fmt: skip
        if found is not None and "score" not in found:
            raise EvalError(
                f"the installed reasoning-gym makes other problems than the run's, which are of"
                f" {about.get('version', VERSION)}: pip install --no-deps"
                f" reasoning-gym=={about.get('version', VERSION)}"
            )
        # A verifier that ran out of time or memory has not accepted the answer.
        return found is not None and found["score"] >= 1

    return score
