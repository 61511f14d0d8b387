"""The same number of calls over several temperatures: a vote within each, then across them.

On the Role of Temperature Sampling in Test-Time Scaling (Wu et al., arXiv 2510.02611): different
temperatures solve different problems, so spreading the samples solves more than one temperature
does, and easy questions may stop early.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, TypeAlias

import msgspec
from msgspec.structs import replace

from .options import Voting, needs_of
from .seam import Call, Case, Grader, Need, Program, Reply, came, explained, until
from .votes import most_below, same_key, settle, settled, vote, why

Temperature: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=2)]


class Options(Voting, frozen=True, kw_only=True):
    temperatures: Annotated[tuple[Temperature, ...], msgspec.Meta(min_length=2)] = (0.3, 0.7, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError("`temperatures` lists one twice: name each once")


class Temperatures:
    options = Options
    votes = True

    def needs(self, options: Options) -> frozenset[Need]:
        return needs_of(options)

    def most_calls(self, case: Case) -> int:
        return case.planned + most_below(case, case.planned)

    def run(self, case: Case, grader: Grader | None) -> Program:
        options: Options = case.options
        groups = spread(case, options.temperatures)
        calls = sorted((c for group in groups for c in group), key=lambda c: _number(c))
        replies = yield from until(calls, partial(_enough, case, groups, options.threshold))
        got = {reply.call.name: reply for reply in replies}
        votes = [
            vote([got[c.name] for c in group if c.name in got], grader, len(group))
            for group in groups
        ]
        # Each temperature casts the winner of its own vote. The first vote over all ballots breaks
        # ties, as the winners stand in its order.
        over_all = vote(replies, grader, len(calls))
        rank = {reply.call.name: n for n, reply in enumerate(over_all.ranked)}
        winners = [v.winner for v in votes if v.clusters and v.winner is not None]
        winners.sort(key=lambda reply: rank[reply.call.name])
        across = vote(winners, grader, len(groups)) if winners else over_all
        within = {f"{t:g}": v.sizes for t, v in zip(options.temperatures, votes, strict=False)}
        verdict = explained(
            replace(across, ranked=_ranked(across.ranked, over_all.ranked)),
            within=within,
            stopped=why(replies, calls),
        )
        return (yield from settle(case, verdict, grader))


def spread(case: Case, temperatures: Sequence[float]) -> list[list[Call]]:
    """Return the panel's calls by temperature; no member gets the same one every time."""
    groups: dict[float, list[Call]] = {temperature: [] for temperature in temperatures}
    for n, call in enumerate(case.answers(case.planned)):
        sample, member = divmod(n, len(case.members))
        temperature = temperatures[(sample + member) % len(temperatures)]
        groups[temperature].append(replace(call, params={"temperature": temperature}))
    return [group for group in groups.values() if group]


def _enough(
    case: Case, groups: Sequence[Sequence[Call]], threshold: float, replies: Sequence[Reply]
) -> bool:
    """Tell whether more than half of the temperatures are settled, each on the same answer."""
    if len(came(replies)) < (case.quorum or 0):
        return False
    done = []
    for group in groups:
        names = {call.name for call in group}
        cast = [reply for reply in replies if reply.call.name in names]
        if settled(cast, replace(case, quorum=None), len(group)):
            done.append(same_key(cast))
    most = max((done.count(key) for key in done), default=0)
    return 2 * most > len(groups) and most / len(groups) >= threshold


def _ranked(first: Sequence[Reply], rest: Sequence[Reply]) -> tuple[Reply, ...]:
    names = {reply.call.name for reply in first}
    return (*first, *(reply for reply in rest if reply.call.name not in names))


def _number(call: Call) -> int:
    return int(call.name.rpartition("-")[2])
