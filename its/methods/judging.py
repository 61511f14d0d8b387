"""What is asked of a judge or a scorer, and how its reply is read.

A score is read from the last lines of the judge's own reply, and only if the reply is complete: a
judge may quote a draft on the way. So a draft can persuade a judge, but not write its score.
"""

import math
import re
from collections.abc import Sequence
from typing import TypeAlias

from msgspec.structs import replace

from . import prompts
from .drafts import Fenced, asked, defused, fence, said
from .seam import Call, Case, Grader, Reply, Verdict
from .votes import vote

JudgePrompt: TypeAlias = tuple[str, str]
"""What stands before the drafts, and what stands after them."""

DraftScores: TypeAlias = list[float | None]

HIGHEST = 10
SAMPLED = 0.7
"""The temperature of a judge that is asked several times: at 0 it would say the same each time."""

_EDGE = r"[\s*_`#-]*"  # no `>`: a line that is quoted may be a draft's
_NUMBER = r"(?:\\boxed\{)?\s*(\d{1,2}(?:\.\d+)?)\s*\}?(?:\s*/\s*10)?"
_SCORE = re.compile(rf"{_EDGE}score\s*(\d*){_EDGE}[:=]{_EDGE}{_NUMBER}[\s*_`.]*", re.IGNORECASE)
_BETTER = re.compile(
    rf"{_EDGE}better{_EDGE}[:=]{_EDGE}(?:candidate\s*)?(1|2|neither)[\s*_`.]*", re.IGNORECASE
)


def judge_call(
    case: Case, judge: str, name: str, prompt: JudgePrompt, texts: Sequence[str], *,
    tokens: int, round: int, sampled: bool = False,
) -> tuple[Call | None, Fenced]:  # fmt: skip
    """Return a call that asks `judge` about drafts, and how they fitted; `None` if none did.

    The client's fields that are about its own answer do not go with it.
    """
    fenced = fence(case, judge, texts, "Candidate", reply_tokens=tokens)
    start, end = prompt
    temperature = SAMPLED if sampled else 0.0
    call = case.call(
        judge,
        name,
        role="judge",
        round=round,
        messages=prompts.after(case.messages, asked(start, fenced, end)),
        params={**prompts.PLAIN, "max_tokens": fenced.reply_tokens, "temperature": temperature},
    )
    return (call if fenced.kept else None), fenced


def score_call(case: Case, scorer: str, name: str, draft: Reply, *, round: int) -> Call:
    """Return a call that asks a reward model for its score of a draft."""
    answer = {"role": "assistant", "content": defused(said(draft))}
    messages = (*case.messages, answer)
    return case.call(scorer, name, role="score", round=round, messages=messages)


def score_of(reply: Reply) -> float | None:
    """Return a scorer's number, or a judge's score from 1 to 10; `None` if there is none."""
    if reply.call.role == "score":
        return reply.score if reply.ok and _is_number(reply.score) else None
    last = _last_lines(reply, 1)
    match = _SCORE.fullmatch(last[0]) if last else None
    return _in_range(match[2]) if match and not match[1] else None


def scores_of(reply: Reply, number: int) -> DraftScores:
    """Return the scores of `number` drafts, from the last lines of a judge's reply."""
    found: DraftScores = [None] * number
    for line in _last_lines(reply, number):
        match = _SCORE.fullmatch(line)
        if match and match[1] and 1 <= int(match[1]) <= number:
            found[int(match[1]) - 1] = _in_range(match[2])
    return found


def better_of(reply: Reply) -> int | None:
    """Return which of two drafts a judge prefers, 0 or 1; `None` if it does not say."""
    last = _last_lines(reply, 1)
    match = _BETTER.fullmatch(last[0]) if last else None
    return int(match[1]) - 1 if match and match[1].isdigit() else None


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of what is known."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def chosen(
    drafts: Sequence[Reply], scores: DraftScores, grader: Grader | None, of_ten: bool
) -> Verdict:
    """Return the verdict by `scores`; ties go to the answer with more votes, then to the order.

    A draft without a score counts as the mean of the others: a judge's failure is not its fault.
    Where nothing was scored, the vote stands, undecided. `agreement` is the best score of ten.
    """
    verdict = vote(drafts, grader, len(drafts))
    usual = mean(scores)
    if usual is None:
        return replace(verdict, decided=False)
    filled = [usual if score is None else score for score in scores]
    votes = {b.call.name: len(c.ballots) for c in verdict.clusters for b in c.ballots}

    def rank(n: int) -> tuple[float, int, int]:
        return -filled[n], -votes.get(drafts[n].call.name, 0), n

    ranked = tuple(drafts[n] for n in sorted(range(len(drafts)), key=rank))
    best = max(filled)
    equals = next((c.ballots for c in verdict.clusters if ranked[0] in c.ballots), ranked[:1])
    names = {reply.call.name for reply in equals}
    alone = all(
        d.call.name in names for d, score in zip(drafts, filled, strict=True) if score == best
    )
    agreement = best / HIGHEST if of_ten else min(1.0, max(0.0, best))
    return replace(verdict, winner=ranked[0], ranked=ranked, decided=alone, agreement=agreement)


def _last_lines(reply: Reply, number: int) -> list[str]:
    """Return the last lines of a complete reply, at most `number`, without empty ones."""
    if not reply.complete:
        return []
    lines = [line.strip()[:200] for line in reply.text.splitlines() if line.strip()]
    return lines[-number:]


def _in_range(text: str) -> float | None:
    score = float(text)
    return score if 1 <= score <= HIGHEST else None


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
