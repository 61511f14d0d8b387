"""The best of several drafts, as a judge or a reward model scores them.

The judge writes principles, a critique and a score, `votes` times, and the sum decides: SPCT,
Inference-Time Scaling for Generalist Reward Modeling (Liu et al., arXiv 2504.02495, section 3).
`votes` is small by default: with a judge that errs more votes stop to help (Demystifying
LLM-as-a-Judge). Drafts carry no names and are asked about in a shuffled order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from . import drafts as drafting
from . import prompts
from .judging import DraftScores, chosen, judge_call, mean, score_call, score_of, scores_of
from .options import Count, Name, Tokens, Voting, needs_of
from .seam import Call, Case, Grader, Need, Program, Reply, came, every, explained
from .votes import most_below, settle


class Options(Voting, frozen=True, kw_only=True):
    """`together`: one call shows all drafts, in another order for each vote."""

    judge: Name | None = None
    scorer: Name | None = None
    votes: Count = 1
    together: bool = False
    tokens: Tokens = 1_024

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.judge is None) == (self.scorer is None):
            raise ValueError("set one of `judge` and `scorer`: the member that rates the drafts")
        if self.scorer and (self.votes > 1 or self.together):
            raise ValueError("`votes` and `together` are for a `judge`: a scorer does not vary")


class BestOf:
    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options, "judge" if options.judge else "scores")

    def most_calls(self, case: Case) -> int:
        number = drafting.number(case)
        each = 1 if case.options.together else number
        return drafting.fresh(case) + each * int(case.options.votes) + most_below(case, number)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        drafts = came((yield from drafting.have(case)))
        asked = _questions(case, options, drafts)
        replies = yield from every(asked.calls)
        scores: list[DraftScores] = [[] for _ in drafts]
        for reply in replies:
            order = asked.about[reply.call.name]
            read = scores_of(reply, len(order)) if options.together else [score_of(reply)]
            for index, score in zip(order, read, strict=True):
                scores[index].append(score)
        verdict = chosen(drafts, [mean(each) for each in scores], grader, options.judge is not None)
        told = {draft.call.name: each for draft, each in zip(drafts, scores, strict=True)}
        verdict = explained(verdict, scores=told, left_out=asked.left_out, **_hash(options))
        return (yield from settle(case, verdict, grader, 2))


@dataclass(slots=True)
class _Asked:
    """The calls, the indices of the drafts that each is about, and what did not fit."""

    calls: list[Call] = field(default_factory=list)
    about: dict[str, list[int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=lambda: {"drafts": 0, "tokens": 0})


def _questions(case: Case, options: Options, drafts: Sequence[Reply]) -> _Asked:
    asked = _Asked()
    for round in range(options.votes):
        order = list(range(len(drafts)))
        Random(case.derived("shuffle", round)).shuffle(order)
        groups = [order] if options.together else [[index] for index in order]
        for group in filter(None, groups):
            name = f"judge-{round}" if options.together else f"judge-{group[0]}-{round}"
            call, kept = _question(case, options, name, [drafts[n] for n in group], asked)
            if call is not None:
                asked.calls.append(call)
                asked.about[call.name] = group[:kept]
    return asked


def _question(
    case: Case, options: Options, name: str, drafts: Sequence[Reply], asked: _Asked
) -> tuple[Call | None, int]:
    """Return the call about `drafts`, and how many of them fitted into it."""
    if options.judge is None:
        return score_call(case, str(options.scorer), name, drafts[0], round=1), 1
    prompt = (prompts.SCORE, prompts.SCORES_END if options.together else prompts.SCORE_END)
    call, fenced = judge_call(
        case, options.judge, name, prompt, [drafting.said(draft) for draft in drafts],
        tokens=options.tokens, round=1, sampled=options.votes > 1,
    )  # fmt: skip
    asked.left_out = {key: n + fenced.left_out[key] for key, n in asked.left_out.items()}
    return call, len(fenced.kept)


def _hash(options: Options) -> dict[str, str]:
    texts = (prompts.SCORE, prompts.SCORE_END, prompts.SCORES_END)
    return {"prompt_sha256": prompts.sha256(*texts)} if options.judge else {}
