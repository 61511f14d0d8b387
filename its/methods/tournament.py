"""A judge compares drafts in pairs; the most uncertain pairs first.

V1: Unifying Generation and Self-Verification for Parallel Reasoners (Singh et al., arXiv
2603.04304, V1-Infer): a model compares two solutions better than it scores one, and comparisons
are best spent on drafts whose ratings are close. Each pair is asked about in both orders; where
the two replies contradict each other, or one cannot be read, the pair says nothing.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from . import drafts as drafting
from . import prompts
from .judging import better_of, judge_call
from .options import Count, Name, Tokens, Voting, needs_of
from .pairing import Table
from .seam import (
    Call,
    Case,
    Grader,
    Need,
    Program,
    Round,
    Verdict,
    any_late,
    came,
    every,
    explained,
)
from .votes import most_below, settle, vote


class Options(Voting, frozen=True, kw_only=True):
    """`pairs` is how many are compared at most, twice each; if it is not set, two per draft."""

    judge: Name
    pairs: Count | None = None
    tokens: Tokens = 1_024


class Tournament:
    options = Options

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options, "judge")

    def most_calls(self, case: Case) -> int:
        number = drafting.number(case)
        return drafting.fresh(case) + 2 * _most_pairs(case, number) + most_below(case, number)

    def run(self, case: Case, grader: Grader | None) -> Program:
        drafts = came((yield from drafting.have(case)))
        verdict = vote(drafts, grader, len(drafts))
        firsts = [group.ballots[0] for group in verdict.clusters]
        read = {reply.call.name for group in verdict.clusters for reply in group.ballots}
        candidates = [*firsts, *(reply for reply in drafts if reply.call.name not in read)]
        votes = [*verdict.sizes, *[0] * (len(candidates) - len(firsts))]
        table = Table(candidates, votes)
        left, round = _most_pairs(case, len(candidates)), 1
        while left > 0 and (pairs := table.next_round(left)):
            replies = yield from _compared(case, table, pairs, round)
            left, round = left - len(pairs), round + 1
            if any_late(replies):
                break
        verdict = _ranked(verdict, table)
        texts = (prompts.BETTER, prompts.BETTER_END)
        verdict = explained(verdict, **table.account, prompt_sha256=prompts.sha256(*texts))
        return (yield from settle(case, verdict, grader, round))


def _ranked(verdict: Verdict, table: Table) -> Verdict:
    """Return the verdict by ratings; ties go to the answer with more votes, then to the order."""
    number = len(table.drafts)
    if number < 2 or all(result is None for result in table.results.values()):
        return replace(verdict, decided=verdict.decided and number < 2)  # the vote stands
    ratings = [table.rating(n) for n in range(number)]
    order = sorted(range(number), key=lambda n: (-ratings[n], -table.votes[n], n))
    first = [table.drafts[n] for n in order]
    names = {reply.call.name for reply in first}
    rest = [reply for reply in verdict.ranked if reply.call.name not in names]
    return replace(
        verdict,
        winner=first[0],
        ranked=(*first, *rest),
        agreement=ratings[order[0]],
        decided=ratings[order[0]] > ratings[order[1]],
    )


def _most_pairs(case: Case, number: int) -> int:
    return min(number * (number - 1) // 2, case.options.pairs or 2 * number)


def _compared(case: Case, table: Table, pairs: Sequence[tuple[int, int]], round: int) -> Round:
    """Ask about each pair in both orders, and write the results into the table."""
    calls: dict[tuple[int, int], Call] = {}
    for a, b in pairs:
        for first, second in ((a, b), (b, a)):
            call = _question(case, table, first, second, round)
            if call is not None:
                calls[first, second] = call
    replies = yield from every(list(calls.values()))
    got = {reply.call.name: reply for reply in replies}
    for a, b in pairs:
        preferred = set()
        for pair in ((a, b), (b, a)):
            better = better_of(got[calls[pair].name]) if pair in calls else None
            preferred.add(None if better is None else pair[better])
        table.results[a, b] = preferred.pop() if len(preferred) == 1 else None
    return replies


def _question(case: Case, table: Table, first: int, second: int, round: int) -> Call | None:
    """Return the call about two drafts in this order; `None` if they do not fit."""
    options: Options = case.options
    call, fenced = judge_call(
        case, options.judge, f"judge-{first}-{second}", (prompts.BETTER, prompts.BETTER_END),
        [drafting.said(table.drafts[n]) for n in (first, second)],
        tokens=options.tokens, round=round,
    )  # fmt: skip
    table.left_out += fenced.left_out["tokens"]
    return call if len(fenced.kept) == 2 else None
