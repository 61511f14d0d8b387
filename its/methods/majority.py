"""Majority vote over equal answers.

Self-Consistency (Wang et al., arXiv 2203.11171) across the members of a panel; the three-model
vote of Input-Time Scaling (Huang and Guo, arXiv 2508.13654, section 4).
"""

from collections.abc import Sequence

from .options import Voting, needs_of
from .seam import Case, Grader, Need, Program, Reply, explained, until
from .votes import most_below, settle, settled, vote, why


class Majority:
    """Ask all at once; the largest cluster of equal answers wins, ties go to configured order."""

    options = Voting
    votes = light = True

    def needs(self, options: Voting) -> frozenset[Need]:
        return needs_of(options)

    def most_calls(self, case: Case) -> int:
        return case.planned + most_below(case, case.planned)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Voting = case.options
        calls = case.answers(case.planned)

        def enough(replies: Sequence[Reply]) -> bool:
            return settled(replies, case, len(calls), options.threshold)

        replies = yield from until(calls, enough)
        verdict = explained(vote(replies, grader, len(calls)), stopped=why(replies, calls))
        return (yield from settle(case, verdict, grader))
