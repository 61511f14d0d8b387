"""Grade a stored run again, as the readers and graders of today do: no answer is asked for."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from its import answers
from its.answers.algebra.workers import Workers
from its.files import atomic_open, atomic_write

from .. import lines
from ..errors import EvalError
from ..figures.scores import scores, summary
from ..grading.samples import graded
from ..grading.scorers import Scorer, scorer_of
from ..samples import EvalSample, RunFolder

SAMPLES, CHANGES = "samples.jsonl", "regraded.jsonl"
"""Files of a run: its rows, and what regrading has changed in them, with the values before."""


@dataclass(frozen=True, slots=True)
class GradeVerdict:
    """What was made of an answer: how it was read, and whether it is right."""

    answer: str | None
    answer_kind: str
    correct: bool
    gold: str


@dataclass(frozen=True, slots=True)
class GradeChange:
    """A sample whose verdict is another one now, and why."""

    run: str
    problem: str
    sample: int
    before: GradeVerdict
    after: GradeVerdict
    why: str


def regrade(
    run: RunFolder,
    graders: Workers,
    gold: Mapping[str, str] | None = None,
    on_sample: Callable[[], None] = lambda: None,
) -> list[GradeChange]:
    """Return what would change. `gold` has new gold answers by the problem's id.

    Raises:
        EvalError: there is no run in the folder, or `gold` lacks one of its problems.
    """
    about, scorer = run.about(), scorer_of(run.path)
    found = []
    for sample in run.samples():
        on_sample()
        if sample.error is None and (change := _change(run, about, sample, graders, scorer, gold)):
            found.append(change)
    return found


def write(run: RunFolder, found: list[GradeChange], graders: Workers) -> None:
    """Write new verdicts into the run's rows, all else as it was, and its figures anew.

    What was there before is kept in `regraded.jsonl`.

    Raises:
        EvalError: the run is at work.
        OSError: the folder cannot be written.
    """
    changed = {(each.problem, each.sample): each.after for each in found}
    with run.locked():
        for each in found:
            row = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **asdict(each)}
            lines.append(run.path / CHANGES, lines.dumps(row))
        with atomic_open(run.path / SAMPLES) as file:
            for line in _rewritten(run, changed):
                file.write(line)
        again = RunFolder(run.path)
        text = json.dumps(summary(again, scores(again, graders)), indent=2) + "\n"
        atomic_write(run.path / "summary.json", text)


def _rewritten(run: RunFolder, changed: Mapping[tuple[str, int], GradeVerdict]) -> Iterator[bytes]:
    for _, line in lines.read(run.path / SAMPLES):
        row: dict[str, Any] = lines.loads(line)
        verdict = changed.get((row["id"], row["sample"]))
        if verdict is None or row.get("error") is not None:
            yield line if line.endswith(b"\n") else line + b"\n"
        else:
            yield lines.dumps({**row, **asdict(verdict)})


def _change(
    run: RunFolder, about: Mapping[str, Any], sample: EvalSample, graders: Workers,
    scorer: Scorer | None, gold: Mapping[str, str] | None,
) -> GradeChange | None:  # fmt: skip
    wanted = sample.gold
    if gold is not None:
        if sample.id not in gold:
            raise EvalError(f"--gold has no problem {sample.id!r}, which is in {run.path}")
        wanted = gold[sample.id]
    again = graded(replace(_read_again(about, sample), gold=wanted), graders, scorer)
    before, after = _verdict(sample), _verdict(again)
    if before == after:
        return None
    why = _why(before, after, scorer is not None)
    return GradeChange(run.path.name, sample.id, sample.sample, before, after, why)


def _read_again(about: Mapping[str, Any], sample: EvalSample) -> EvalSample:
    """Return the sample with the answer that its text gives; tool calls have no text."""
    if sample.text is None or sample.answer_kind == "tool":
        return sample
    settings = about["settings"]
    body = {"messages": [{"role": "user", "content": sample.prompt}], **settings.get("extra", {})}
    thinking = settings.get("thinking")
    if thinking is None:
        thinking = _opens_think(about, sample)
    read = answers.read(
        {"content": sample.text},
        kind=answers.kind_of(body, settings.get("answers") or "auto"),
        finish_reason=sample.finish_reason,
        thinking=thinking,
    )
    if read is None:
        return replace(sample, answer=None)
    return replace(sample, answer=read.text, answer_kind=read.kind)


def _opens_think(about: Mapping[str, Any], sample: EvalSample) -> bool:
    """Tell whether the template opened `<think>`, by what the server said of the model then."""
    card = about.get("models", {}).get(about["settings"]["model"]) or {}
    card = card.get("input_time") or {}
    members = card.get("members") or [card]
    winner = sample.input_time.get("winner")
    won = [member for member in members if member.get("member") == winner] or members
    return all(member.get("thinking") for member in won)


def _verdict(sample: EvalSample) -> GradeVerdict:
    return GradeVerdict(sample.answer, sample.answer_kind, sample.correct, sample.gold)


def _why(before: GradeVerdict, after: GradeVerdict, own: bool) -> str:
    if before.gold != after.gold:
        return f"the gold answer is {after.gold!r}, was {before.gold!r}"
    if before.answer != after.answer:
        return f"read as {after.answer!r}, was {before.answer!r}"
    if before.answer_kind != after.answer_kind:
        return f"compared as {after.answer_kind}, was {before.answer_kind}"
    who = "the task's scorer" if own else "the grader"
    return f"{who} says {'right' if after.correct else 'wrong'} now"
