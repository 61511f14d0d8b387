"""Stored answers: those of runs, or of a file of finished outputs, by problem and member."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from its import answers
from its.answers import Comparison, Remembered
from its.answers.algebra.workers import Workers
from its.answers.reading.thinking import spoken
from its.methods.drafts import tokens as estimated_tokens
from its.methods.seam import Call, Logprobs, Reply
from its.types import Answer, AnswerKind

from ..errors import EvalError
from ..figures.scores import samples_by_model
from ..samples import EvalSample, RunFolder, run_folders

NOBODY = Call("", "stored")
"""Stands in each stored reply, until a program's own call takes its place."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One stored answer of a member. `reply.seconds` is 0 where no time was stored.

    `estimated` says that the reply's tokens were estimated from its text.
    """

    member: str
    reply: Reply
    correct: bool
    temperature: float | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class StoredProblem:
    """A problem with all that is stored of it, and the grader that knows its answers."""

    id: str
    question: str
    answers: tuple[StoredAnswer, ...]
    grader: Remembered

    def of(self, member: str) -> list[StoredAnswer]:
        """Return the stored answers of one member."""
        return [stored for stored in self.answers if stored.member == member]


@dataclass(frozen=True, slots=True)
class _Row:
    """A stored answer as it is read, before it is graded."""

    problem: str
    question: str
    gold: str
    kind: AnswerKind
    stored: StoredAnswer
    graded: bool


def read_stored(places: Sequence[Path], graders: Workers) -> list[StoredProblem]:
    """Read runs (folders, or their `samples.jsonl`) and files of finished outputs.

    A run's member is the model that was asked; of a panel's run, the members in its ballots.
    Rows of a file are `{problem_id, model, text, gold}`; they may have `prompt_tokens`, `tokens`,
    `seconds`, `finish_reason`, `temperature` and `logprobs` as well.

    Raises:
        EvalError: a place cannot be read or holds nothing, or two of them disagree on a problem.
    """
    found: dict[str, list[_Row]] = {}
    for place in places:
        folder = place.parent if place.name == "samples.jsonl" else place
        is_run = folder.is_dir() or (folder / "run.json").is_file()
        for row in _of_runs(folder, graders) if is_run else _of_file(place):
            same = found.setdefault(row.problem, [])
            if same and same[0].gold != row.gold:
                raise EvalError(
                    f"{place}: problem {row.problem!r} has the answer {row.gold!r} here and"
                    f" {same[0].gold!r} in another place: give only runs of the same task"
                )
            same.append(row)
    if not found:
        raise EvalError(f"{', '.join(map(str, places))}: no answers are stored there")
    return [_problem(rows, graders) for rows in found.values()]


def _of_runs(folder: Path, graders: Workers) -> Iterator[_Row]:
    for place in run_folders([folder]):
        by_model = samples_by_model(RunFolder(place), graders, texts=True)
        panel = list(by_model)[-1] if len(by_model) > 1 else None
        for model, samples in by_model.items():
            if model != panel:  # a panel's own samples are its members' ballots once more
                yield from (_of_sample(model, sample) for sample in samples)


def _of_sample(model: str, sample: EvalSample) -> _Row:
    answer = answers.parse(sample.answer, sample.answer_kind) if sample.answer else None
    reply = _reply(
        sample.text or "", answer, sample.finish_reason, sample.logprobs,
        tokens=sample.tokens or 0, prompt_tokens=sample.prompt_tokens or 0,
        seconds=sample.seconds,
    )  # fmt: skip
    if sample.error is not None:
        reply = Reply(NOBODY, "failed", seconds=sample.seconds, completion_tokens=0)
    estimated = reply.ok and not sample.tokens
    stored = StoredAnswer(model, reply, sample.correct, sample.temperature, estimated)
    return _Row(sample.id, sample.prompt, sample.gold, sample.answer_kind, stored, graded=True)


def _of_file(file: Path) -> Iterator[_Row]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                row = _of_line(line, f"{file}: line {number}")
                if row is not None:
                    yield row
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"cannot read {file}: {error}") from error


def _of_line(line: str, at: str) -> _Row | None:
    """Return the row of one line; `None` if its gold answer cannot be read."""
    try:
        row = json.loads(line)
        text, gold = str(row["text"]), str(row["gold"])
        finish = row.get("finish_reason")
        reply = _reply(
            text, answers.read({"content": text}, finish_reason=finish), finish,
            row.get("logprobs"), tokens=int(row.get("tokens") or 0),
            prompt_tokens=int(row.get("prompt_tokens") or 0),
            seconds=float(row.get("seconds") or 0.0),
        )  # fmt: skip
        temperature = row.get("temperature")
        stored = StoredAnswer(
            str(row["model"]), reply, False, None if temperature is None else float(temperature),
            estimated=not row.get("tokens"),
        )  # fmt: skip
        problem, question = str(row["problem_id"]), str(row.get("problem") or "")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        shape = "{problem_id, model, text, gold}"
        raise EvalError(f"{at}: not {shape}: {error!r}") from error
    if answers.read_or_parse(gold) is None:
        return None
    return _Row(problem, question, gold, "math", stored, graded=False)


def _reply(
    text: str, answer: Answer | None, finish_reason: str | None,
    logprobs: Mapping[str, Any] | None, *, tokens: int, prompt_tokens: int, seconds: float,
) -> Reply:  # fmt: skip
    return Reply(
        NOBODY,
        message={"role": "assistant", "content": text},
        text=spoken(text, opened=False).strip(),
        raw=text,
        answer=answer,
        finish_reason=finish_reason,
        prompt_tokens=prompt_tokens or None,
        completion_tokens=tokens or max(1, estimated_tokens(text)),
        seconds=seconds,
        logprobs=Logprobs(**logprobs) if logprobs else None,
    )


def _problem(rows: Sequence[_Row], graders: Workers) -> StoredProblem:
    grader = Remembered(graders.judge)
    first = rows[0]
    gold = answers.read_or_parse(first.gold, first.kind)
    held = tuple(
        row.stored
        if row.graded
        else replace(row.stored, correct=_right(row.stored.reply.answer, gold, grader))
        for row in rows
    )
    return StoredProblem(first.problem, first.question, held, grader)


def _right(answer: Answer | None, gold: Answer | None, grader: Remembered) -> bool:
    """Tell whether an answer equals the gold answer; no answer does not."""
    if answer is None or gold is None:
        return False
    return answers.compare(gold, answer, grader) is Comparison.EQUAL
