"""The plans that a frontier or a search tries: all methods and options that the answers allow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil
from typing import Any

from ..errors import EvalError
from .plan import Plan, plan
from .stored import StoredProblem

LADDER = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of samples that are tried, and all that are stored."""

CONFIDENCES = (0.85, 0.9, 0.95, 0.97, 0.99)
AGREEMENTS = (0.5, 0.6, 0.75, 0.9, 1.0)
LARGEST_PANEL, MOST_MEMBERS = 3, 6


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of the answers: what decides which methods they allow."""

    members: tuple[str, ...]
    drafts: int
    logprobs: bool
    tail: bool
    temperatures: tuple[float, ...]


def known(problems: Sequence[StoredProblem]) -> Known:
    """Return what all of `problems` allow; `members` are those that each of them has."""
    stored = [one for problem in problems for one in problem.answers]
    shared = set.intersection(*({one.member for one in p.answers} for p in problems))
    ordered = dict.fromkeys(one.member for one in stored)
    logprobs = [one.reply.logprobs for one in stored if one.reply.ok]
    temperatures = {one.temperature for one in stored if one.temperature is not None}
    return Known(
        members=tuple(member for member in ordered if member in shared),
        drafts=max(len(problem.answers) for problem in problems),
        logprobs=all(logprobs),
        tail=all(each is not None and each.tail is not None for each in logprobs),
        temperatures=tuple(sorted(temperatures)),
    )


def only(problems: Sequence[StoredProblem], members: Sequence[str]) -> list[StoredProblem]:
    """Return the problems that have all `members`, with their answers alone, in that order.

    Raises:
        EvalError: there is none.
    """
    wanted = set(members)
    kept = [replace(p, answers=tuple(one for m in members for one in p.of(m))) for p in problems]
    found = [p for p in kept if {one.member for one in p.answers} == wanted]
    if not found:
        there = sorted({one.member for p in problems for one in p.answers})
        raise EvalError(
            f"no problem has answers of all of {', '.join(members)}. Stored: {', '.join(there)}."
        )
    return found


def of_anybody(has: Known) -> list[Plan]:
    """Return plans that ask whoever answered a problem."""
    varied = _varied(has, (), has.drafts, one_member=False)
    racing = plan("first_finish")  # for comparison: among different models it chooses badly
    return [*varied, racing, *_abstaining((), None, None)]


def of_panels(problems: Sequence[StoredProblem], has: Known) -> list[Plan]:
    """Return plans for each panel of up to three members, and for all of them.

    Of up to three members each one leads once: ties go to the first, and `adaptive` asks it first.

    Raises:
        EvalError: there are too many members.
    """
    if len(has.members) > MOST_MEMBERS:
        raise EvalError(
            f"{len(has.members)} members have answered all of these problems: choose up to"
            f" {MOST_MEMBERS} with --member"
        )
    sizes = sorted({*range(1, min(LARGEST_PANEL, len(has.members)) + 1), len(has.members)})
    found: list[Plan] = []
    for members in (one for size in sizes for one in combinations(has.members, size)):
        each = min(len(p.of(member)) for p in problems for member in members)
        leaders = members if len(has.members) <= LARGEST_PANEL else members[:1]
        for first in leaders:
            led = (first, *(member for member in members if member != first))
            found += _varied(has, led, each, one_member=len(members) == 1)
        for stronger in (member for member in has.members if member not in members):
            found += _escalating(members, each, stronger)
    each = min(len(p.of(member)) for p in problems for member in has.members)
    return [*found, *_abstaining(has.members, each, each * len(has.members))]


def _varied(has: Known, members: tuple[str, ...], each: int, *, one_member: bool) -> Iterator[Plan]:
    """Yield what can be done with up to `each` samples of `members`, all at once or as needed."""
    number = max(1, len(members))
    everything = each if members else None
    for samples in (*(n for n in LADDER if n < each), everything):
        yield plan("majority", {}, members, samples)
        for name, raw in _fixed(has, (samples or each) * number, one_member):
            yield plan(name, raw, members, samples)
    if each * number > 2:
        for confidence in CONFIDENCES:
            yield plan("adaptive", {"confidence": confidence}, members, everything)


def _fixed(has: Known, drafts: int, one_member: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield methods, with their options, that ask as many calls as there are drafts."""
    if drafts < 2:
        return
    if one_member:
        yield "first_finish", {}
        if drafts > 3:
            yield "first_finish", {"votes": 3}
    if has.logprobs:
        yield "weighted", {}
    if has.tail:
        yield "weighted", {"measure": "tail", "share": 0.5}
    if 1 < len(has.temperatures) <= drafts:
        yield "temperatures", {"temperatures": list(has.temperatures)}


def _escalating(members: tuple[str, ...], each: int, stronger: str) -> Iterator[Plan]:
    drafts = each * len(members)
    if drafts > 1:
        for below in _levels(drafts, AGREEMENTS):
            yield plan("escalate", {"stronger": stronger, "escalate_below": below}, members, each)


def _abstaining(members: tuple[str, ...], each: int | None, drafts: int | None) -> Iterator[Plan]:
    if drafts is None or drafts > 1:
        for threshold in _levels(drafts, AGREEMENTS):
            raw = {"threshold": threshold, "below": "abstain"}
            yield plan("majority", raw, members, each)


def _levels(drafts: int | None, levels: Sequence[float]) -> list[float]:
    """Return the levels that differ where agreement is a number of votes by `drafts`."""
    if drafts is None:
        return list(levels)
    least: dict[int, float] = {}
    for level in levels:
        votes = ceil(level * drafts - 1e-9)
        if votes > 1:  # one vote of its own is what every answer has
            least[votes] = level
    return list(least.values())
