"""What another method would have decided on the same ballots, or the same one without a member.

No engine is asked: the method's program is driven from the replies that are there. A call that none
of them answers ends the attempt, and says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from its.answers import Judge
from its.methods.options import OptionError, parse
from its.methods.replay import REPLAYED, ReplayError, Rerun, drive, needs_new_text
from its.methods.seam import Call, Case, Reply, Verdict
from its.methods.table import METHODS, MethodError, find

from ..base.outcome import Row
from ..base.told import Told
from ..config.settings import Panel

Alternative: TypeAlias = tuple[str, Mapping[str, Any], Sequence[str]]
"""A method, its options, and the members that are left out."""


class _Replies:
    """The replies of a request, each to be had once: by what was asked, in the order asked."""

    def __init__(self, told: Told) -> None:
        self.rows = [row for row in told.rows.values() if _came(row)]
        self.replies = [row.reply for row in self.rows if row.reply is not None]
        self._left = list(range(len(self.rows)))

    def __call__(self, call: Call) -> int | None:
        for index in self._left:
            if _answers(self.rows[index], call):
                self._left.remove(index)
                return index
        if reason := needs_new_text(call):
            raise ReplayError(f"New text is needed: {reason}.")
        return None


def _came(row: Row) -> bool:
    """Tell whether a reply is there; one that was cancelled had nobody to wait for it."""
    return row.reply is not None and row.reply.ok


def _answers(row: Row, call: Call) -> bool:
    asked = row.call
    if (asked.member, asked.role, asked.prefix) != (call.member, call.role, call.prefix):
        return False
    if asked.messages != call.messages:
        return False
    params = {name: value for name, value in call.params.items() if name not in REPLAYED}
    return params.items() <= dict(asked.params).items()


def usual(told: Told) -> list[Alternative]:
    """Return what is tried without being asked for: every method, and each member left out."""
    panel = told.target
    assert isinstance(panel, Panel)
    assert told.case is not None
    own = panel.method, dict(panel.raw_options)
    members = list(dict.fromkeys(told.case.members))
    without: list[Alternative] = [(*own, [each]) for each in members if len(members) > 1]
    others: list[Alternative] = [(name, {}, []) for name in METHODS if name != panel.method]
    return [(*own, []), *without, *others]


def decide(told: Told, alternative: Alternative, grader: Judge) -> dict[str, Any]:
    """Return the verdict of one alternative, as JSON; `reason` says why there is none."""
    name, raw, without = alternative
    head = {"method": name, "options": dict(raw), "without": list(without)}
    try:
        case = _case(told, raw, without, name)
        replies = _Replies(told)
        program = find(name).run(case, grader)
        driven = drive(program, replies.replies, replies, by_seconds=True)
    except (MethodError, OptionError, ReplayError) as error:
        return {**head, "reason": str(error)[:300]}
    except Exception as error:  # a method that meets another case than its author thought of
        return {**head, "reason": f"The method failed: {type(error).__name__}."}
    if driven.verdict.winner is None:
        return {**head, "reason": "Nothing that is there is an answer."}
    return {**head, "reason": None, **_decided(told, driven, replies)}


def _case(told: Told, raw: Mapping[str, Any], without: Sequence[str], name: str) -> Case:
    case = told.case
    assert case is not None
    panel = told.target
    assert isinstance(panel, Panel)
    members = tuple(member for member in case.members if member not in without)
    if not members:
        raise ReplayError("No member is left.")
    same = name == panel.method and dict(raw) == dict(panel.raw_options)
    options = case.options if same else parse(find(name), raw)
    return replace(case, members=members, options=options)


def _decided(told: Told, driven: Rerun, replies: _Replies) -> dict[str, Any]:
    verdict = driven.verdict
    names = {made: replies.rows[n].call.name for made, n in driven.made.items() if n is not None}
    assert verdict.winner is not None
    winner = names.get(verdict.winner.call.name)
    return {
        "decided": verdict.decided,
        "agreement": verdict.agreement,
        "withheld": verdict.withheld,
        "winner": winner,
        "answer": _answer(verdict.winner),
        "clusters": [
            {"answer": each.answer.text, "weight": each.weight,
             "calls": [names[reply.call.name] for reply in each.ballots]}
            for each in verdict.clusters
        ],
        "used": sorted(names.values()),
        "missing": sum(index is None for index in driven.made.values()),
        "tokens": round(driven.tokens),
        "seconds": driven.time,
        "same": _same(told, verdict, winner),
    }  # fmt: skip


def _answer(reply: Reply) -> str | None:
    return reply.answer.text if reply.answer is not None else None


def _same(told: Told, verdict: Verdict, winner: str | None) -> bool | None:
    """Tell whether the answer is the one that the panel gave."""
    outcome = told.outcome
    if outcome is None:
        return None
    leading = outcome.verdict.clusters
    same = {reply.call.name for c in leading for reply in c.ballots
            if any(r.call.name == outcome.winner.call.name for r in c.ballots)}  # fmt: skip
    right = winner == outcome.winner.call.name or winner in same
    return right and verdict.withheld == outcome.verdict.withheld


class WhatIf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a question: what if this method had decided, with these options, without these?

    `options` are lines of KEY=VALUE as on the command line of `its-eval`.
    """

    method: str
    options: list[str] = []
    without: list[str] = []
