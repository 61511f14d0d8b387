"""Votes weighted by how sure the model was of its own words.

`mean`: perplexity consistency with reasoning pruning, RPC (Zhou et al., arXiv 2510.15444, section
4): a reply weighs the exponential of its mean log-probability. `tail` and `worst`: DeepConf (Fu
et al., arXiv 2508.15260, section 4): a reply weighs its confidence over the last tokens or over
its worst window, and only the most confident `share` votes.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from .confidence import improbable
from .options import Voting, needs_of
from .seam import Case, Grader, Need, Program, Reply, came, every, explained
from .votes import most_below, settle, vote, why

TOP = 20
"""Log-probabilities that are asked for at each place: DeepConf's number, and OpenAI's limit."""


class Options(Voting, frozen=True, kw_only=True):
    """`prune` drops improbable replies (`mean` only); `share` of them vote, the surest."""

    measure: Literal["mean", "tail", "worst"] = "mean"
    prune: bool = True
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


class Weighted:
    options = Options
    votes = True

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options, "logprobs")

    def most_calls(self, case: Case) -> int:
        return case.planned + most_below(case, case.planned)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        top = {} if options.measure == "mean" else {"top_logprobs": TOP}
        asked = case.answers(case.planned)
        calls = [replace(call, params={"logprobs": True, **top}) for call in asked]
        replies = yield from every(calls)
        ballots = came(replies)
        weights = weigh(ballots, options.measure)
        if weights is None:  # no engine gave any: a plain vote
            verdict = explained(vote(ballots, grader, len(calls)), weights={})
        else:
            kept = _kept(ballots, weights, options)
            held = [weight if n in kept else 0.0 for n, weight in enumerate(weights)]
            verdict = vote([ballots[n] for n in kept], grader, len(calls), [held[n] for n in kept])
            names = [reply.call.name for reply in ballots]
            told = {name: round(w, 6) for name, w in zip(names, held, strict=True)}
            verdict = explained(verdict, weights=told)
        verdict = explained(verdict, stopped=why(replies, calls))
        return (yield from settle(case, verdict, grader))


def weigh(ballots: Sequence[Reply], measure: str) -> list[float] | None:
    """Return a weight above 0 for each ballot; `None` if none has what is measured.

    One without log-probabilities weighs as much as the others do on average.
    """
    found = [_weight(ballot, measure) for ballot in ballots]
    known = [weight for weight in found if weight is not None]
    if not known:
        return None
    mean = math.fsum(known) / len(known)
    return [mean if weight is None else weight for weight in found]


def _weight(ballot: Reply, measure: str) -> float | None:
    if ballot.logprobs is None:
        return None
    value: float | None = getattr(ballot.logprobs, measure)
    if value is None or not math.isfinite(value):
        return None
    return max(1e-9, min(1.0, math.exp(min(0.0, value))) if measure == "mean" else value)


def _kept(ballots: Sequence[Reply], weights: Sequence[float], options: Options) -> list[int]:
    """Return the indices of the ballots that vote, in their order: at least one does."""
    pruned = improbable(weights) if options.prune and options.measure == "mean" else set()
    left = [n for n in range(len(ballots)) if n not in pruned]
    surest = sorted(left, key=lambda n: -weights[n])[: math.ceil(options.share * len(left))]
    return sorted(surest)
