"""Ask until the leading answer is probably the majority's.

Let's Sample Step by Step: Adaptive-Consistency (Aggarwal et al., arXiv 2305.11860, section 3):
after each call, stop if the posterior says that the leading answer is the most frequent one.
`beta` compares it with the runner-up alone, `dirichlet` with every other answer. Asking `step`
calls at a time is the window of Escape Sky-high Cost (Li et al., arXiv 2401.10480).
"""

import math
from collections.abc import Sequence
from typing import Literal

from .options import Count, Share, Voting, needs_of
from .seam import Case, Grader, Need, Program, Reply, any_late, every, explained
from .votes import most_below, settle, settled, vote

POINTS = 600
"""Points of the trapezoid rule for the Dirichlet posterior; 1e-6 of scipy's value in the tests."""


class Options(Voting, frozen=True, kw_only=True):
    """`at_most` calls in all; if it is not set, `samples` of each member."""

    confidence: Share = 0.95
    posterior: Literal["beta", "dirichlet"] = "beta"
    first: Count = 2
    step: Count = 1
    at_most: Count | None = None


class Adaptive:
    """Ask `first` calls, then `step` more at a time, members in turn."""

    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options)

    def most_calls(self, case: Case) -> int:
        most = case.options.at_most or case.planned
        return int(most) + most_below(case, most)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        most = options.at_most or case.planned
        replies: list[Reply] = []
        sure, stopped, rounds = 0.0, "", 0
        while not stopped:
            number = min(options.step if replies else options.first, most - len(replies))
            replies += yield from every(case.answers(number, len(replies), round=rounds))
            rounds += 1
            sure = posterior(vote(replies, grader, most).sizes, options.posterior)
            if any_late(replies):
                stopped = "deadline"
            elif sure >= options.confidence:
                stopped = "confident"
            elif settled(replies, case, most):
                stopped = "settled"
            elif len(replies) == most:
                stopped = "all asked"
        verdict = vote(replies, grader, len(replies))
        verdict = explained(verdict, stopped=stopped, confidence=round(sure, 4))
        return (yield from settle(case, verdict, grader, rounds))


def posterior(votes: Sequence[int], kind: str = "beta") -> float:
    """Return the probability that the answer with the most `votes` (first) is the commonest."""
    if not votes:
        return 0.0
    return _dirichlet(votes) if kind == "dirichlet" and len(votes) > 2 else _beta(*votes[:2])


def _beta(first: int, second: int = 0) -> float:
    """Return P(p > 1/2) under Beta(first + 1, second + 1), exactly: a sum of binomials."""
    trials = first + second + 1
    return sum(math.comb(trials, k) for k in range(first + 1)) / (1 << trials)


def _dirichlet(votes: Sequence[int]) -> float:
    """Return P(the first share is the largest) under Dirichlet(votes + 1).

    Shares are gamma variables divided by their sum, so the integral is over one of them:
    the density of the first times the distribution functions of the others.
    """
    first, others = votes[0], votes[1:]
    end = first + 1 + 12 * math.sqrt(first + 1) + 20
    width = end / POINTS
    total = 0.0
    for n in range(1, POINTS):
        x = n * width
        density = math.exp(first * math.log(x) - x - math.lgamma(first + 1))
        total += density * math.prod(_gamma_cdf(count, x) for count in others)
    return min(1.0, total * width)


def _gamma_cdf(count: int, x: float) -> float:
    """Return P(Gamma(count + 1) <= x), which is P(Poisson(x) > count)."""
    term = below = math.exp(-x)
    for k in range(1, count + 1):
        term *= x / k
        below += term
    return 1.0 - below
