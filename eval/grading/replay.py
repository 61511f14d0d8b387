"""Replay votes on model outputs that are already there: what would a panel have answered?

Each problem that three or more models answered is one vote of these models. A model's own
accuracy stands beside the vote's on the same problems, both by the same grader.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from its import answers
from its.answers import Comparison
from its.answers.algebra.workers import Workers
from its.methods import Call, Case, Reply, find
from its.methods.options import parse
from its.types import Answer

from ..errors import EvalError

FEWEST_MODELS = 3


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What one model answered to one problem."""

    problem: str
    model: str
    answer: Answer | None
    gold: Answer


@dataclass(frozen=True, slots=True)
class ReplayedModel:
    """One model against the vote, on the problems that it answered."""

    model: str
    problems: int
    solved: int
    vote_solved: int


def read_outputs(file: Path) -> list[ModelOutput]:
    """Read rows `{problem_id, model, text, gold}`; of a model's several outputs the first counts.

    Raises:
        EvalError: a line is no such row.
    """
    found: dict[tuple[str, str], ModelOutput] = {}
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                output = _output(line, f"{file}: line {number}")
                if output is not None:
                    found.setdefault((output.problem, output.model), output)
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"cannot read {file}: {error}") from error
    return list(found.values())


def _output(line: str, at: str) -> ModelOutput | None:
    try:
        row = json.loads(line)
        gold, answer = (
            answers.read_or_parse(row["gold"]),
            answers.read({"content": str(row["text"])}),
        )
        problem, model = str(row["problem_id"]), str(row["model"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        shape = "{problem_id, model, text, gold}"
        raise EvalError(f"{at}: not {shape}: {error!r}") from error
    return ModelOutput(problem, model, answer, gold) if gold is not None else None


def replay(outputs: Sequence[ModelOutput], method: str, graders: Workers) -> list[ReplayedModel]:
    """Return each model's figures beside the vote's, the vote over everything last."""
    problems: dict[str, list[ModelOutput]] = {}
    for output in outputs:
        problems.setdefault(output.problem, []).append(output)
    voted = {name: group for name, group in problems.items() if len(group) >= FEWEST_MODELS}
    won = {name: vote(group, method, graders) for name, group in voted.items()}
    rows: dict[str, list[tuple[bool, bool]]] = {}
    for name, group in voted.items():
        for output in group:
            solved = right(output.answer, output.gold, graders)
            rows.setdefault(output.model, []).append((solved, won[name]))
    alone = [
        ReplayedModel(
            model, len(pairs), sum(own for own, _ in pairs), sum(vote for _, vote in pairs)
        )
        for model, pairs in rows.items()
    ]
    alone.sort(key=lambda row: (-row.problems, row.model))
    return [
        *alone,
        ReplayedModel("all of them, voting", len(won), sum(won.values()), sum(won.values())),
    ]


def vote(outputs: Sequence[ModelOutput], method: str, graders: Workers) -> bool:
    """Tell whether the vote over one problem's outputs is right."""
    ordered = sorted(outputs, key=lambda output: output.model)
    found = find(method)
    models = tuple(output.model for output in ordered)
    case = Case(models, 1, (), parse(found, {}), early_stop=False)
    program = found.run(case, graders.judge())
    try:
        waiting = list(next(program))
        for call, output in zip(waiting, ordered, strict=True):
            program.send(_reply(call, output))
    except StopIteration as ended:
        winner: Reply = ended.value.winner
        return right(winner.answer, ordered[0].gold, graders)
    raise EvalError(f"--method {method} asks for more than the stored answers")


def _reply(call: Call, output: ModelOutput) -> Reply:
    return Reply(call, answer=output.answer)


def right(answer: Answer | None, gold: Answer, graders: Workers) -> bool:
    """Tell whether an answer equals the gold answer; no answer does not."""
    if answer is None:
        return False
    return answers.compare(gold, answer, graders.judge()) is Comparison.EQUAL


def markdown(rows: Sequence[ReplayedModel]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| model | problems | alone | the vote on the same problems |", "|---|--:|--:|--:|"]
    for row in rows:
        shares = (f"{n} ({n / row.problems:.1%})" for n in (row.solved, row.vote_solved))
        lines.append(f"| {row.model} | {row.problems} | {' | '.join(shares)} |")
    return "\n".join(lines)
