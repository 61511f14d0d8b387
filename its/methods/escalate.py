"""Cheap members first; a stronger one only where they disagree.

A cascade in the sense of FrugalGPT (Chen et al., arXiv 2305.05176, section 3), with the agreement
of several cheap answers as the signal (Yue et al., arXiv 2310.03094, "Large Language Model
Cascades with Mixture of Thought Representations", section 3). It needs no log-probabilities of
the prompt, which the conformal acceptance of ATTS asks for.
"""

from collections.abc import Sequence

from .options import Name, Share, Voting, needs_of
from .seam import Case, Grader, Need, Program, Reply, any_late, every, explained, until
from .votes import most_below, settle, settled, vote, why


class Options(Voting, frozen=True, kw_only=True):
    """`stronger` is a member, or a panel whose members are all asked."""

    stronger: Name
    escalate_below: Share = 0.75


class Escalate:
    """Vote among the panel's members; below `escalate_below` the stronger answers decide."""

    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options)

    def most_calls(self, case: Case) -> int:
        both = case.planned + len(case.behind(case.options.stronger))
        return both + most_below(case, both)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        calls = case.answers(case.planned)
        sure = max(options.escalate_below, options.threshold)

        def enough(replies: Sequence[Reply]) -> bool:
            return settled(replies, case, len(calls), sure)

        replies = yield from until(calls, enough)
        verdict = vote(replies, grader, len(calls))
        agreement = verdict.agreement or 0.0
        escalated = agreement < options.escalate_below and not any_late(replies)
        verdict = explained(verdict, escalated=escalated, stopped=why(replies, calls))
        if escalated:
            members = case.behind(options.stronger)
            stronger = yield from every(
                [
                    case.call(member, f"stronger-{n}", round=1, messages=case.asked)
                    for n, member in enumerate(members)
                ]
            )
            # One stronger answer outweighs all cheap ones; these decide where the stronger tie.
            both = [*stronger, *replies]
            weights = [len(replies) + 1.0] * len(stronger) + [1.0] * len(replies)
            account = {**verdict.account, "agreement_before": round(agreement, 4)}
            verdict = explained(vote(both, grader, len(both), weights), **account)
        return (yield from settle(case, verdict, grader, 2))
