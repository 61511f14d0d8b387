"""What a response says of itself: the `input_time` object, the headers, a panel's completion."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from its.types import Ballot, Call

from ..base.asgi import Headers
from ..base.errors import UNREADABLE
from ..base.outcome import Outcome, Spent
from ..base.prompt import MemberPrompt
from ..base.record import Record
from .request import Request


def describe(asked: MemberPrompt) -> dict[str, Any]:
    """Return the `input_time` object of a member's response."""
    context = asked.context
    described = {
        "strategy": asked.strategy,
        "persona": context.persona if context else None,
        "domain": context.domain if context else None,
        "source": context.source if context else None,
        "placement": asked.layout.placement if context else None,
        "seed": asked.seed,
        "co_design": asked.co_design.value,
        "persona_usage": asked.usage,
    }
    if context and asked.strategy == "mixed":
        described["drawn"] = context.strategy
    return described


def splice(raw: bytes, input_time: Mapping[str, Any]) -> bytes:
    """Put `input_time` into the engine's JSON object and leave every other byte as it is.

    An engine that is a proxy too has told its own already: that moves into ours, as `engine`.
    """
    if inner := told_already(raw):
        told = {**input_time, "engine": inner[TOLD]}
        return msgspec.json.encode({**inner, TOLD: told})
    body, _, _ = raw.rpartition(b"}")
    comma = b"" if body.rstrip().endswith(b"{") else b","
    return b'%s%s"input_time":%s}' % (body, comma, msgspec.json.encode(input_time))


TOLD = "input_time"
TOLD_KEY = b'"input_time"'
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def told_already(raw: bytes) -> dict[str, msgspec.Raw] | None:
    """Return the fields of an engine's JSON object, if `input_time` is one of them."""
    if TOLD_KEY not in raw:
        return None
    try:
        fields = _FIELDS.decode(raw)
    except UNREADABLE:
        return None
    return fields if TOLD in fields else None


def headers(asked: MemberPrompt, record: Record) -> Headers:
    """Return the headers of a member's response."""
    found = [
        (b"x-input-time-strategy", asked.strategy.encode()),
        (b"x-input-time-models-used", b"1"),
        (b"x-input-time-overhead-ms", b"%.2f" % record.own_ms),
    ]
    if asked.context:
        found.append((b"x-input-time-persona-source", asked.context.source.encode()))
    return found


def panel_headers(outcome: Outcome, record: Record) -> Headers:
    """Return the headers of a panel's response that is not streamed."""
    winner = outcome.verdict.winner.completion.call.member
    used = {ballot.completion.call.member for ballot in outcome.verdict.ballots}
    own = [pair for pair in headers(outcome.asked[winner], record)
           if pair[0] != b"x-input-time-models-used"]  # fmt: skip
    return [
        *own,
        (b"x-input-time-method", outcome.method.encode()),
        (b"x-input-time-decided", b"true" if outcome.decided else b"false"),
        (b"x-input-time-votes", b"%d/%d" % (outcome.votes, outcome.planned)),
        (b"x-input-time-models-used", b"%d" % len(used)),
    ]


def panel_body(
    outcome: Outcome, request: Request, record: Record, input_time: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the panel's chat completion: the winner's choice verbatim, everybody's usage."""
    winner = outcome.verdict.winner.completion
    return {
        "id": f"chatcmpl-{record.request_id.decode()}",
        "object": "chat.completion",
        "created": winner.body.get("created"),
        "model": request.model,
        "choices": [{**winner.choice, "index": 0}],
        "usage": outcome.usage,
        "input_time": input_time,
    }


def describe_panel(outcome: Outcome, with_ballots: bool) -> dict[str, Any]:
    """Return the `input_time` object of a panel's response."""
    verdict = outcome.verdict
    winner = verdict.winner.completion.call
    described = {
        **describe(outcome.asked[winner.member]),
        "method": outcome.method,
        "decided": outcome.decided,
        "votes": [
            {"answer": c.answer.text, "votes": len(c.ballots), "members": _members(c.ballots)}
            for c in verdict.tally
        ],
        "abstained": sum(ballot.answer is None for ballot in verdict.ballots),
        "failed": len(outcome.failures),
        "late": len(outcome.late),
        "cancelled": len(outcome.cancelled),
        "undecided": outcome.undecided,
        "agreement": round(verdict.agreement, 4),
        "winner": winner.member,
    }
    if with_ballots:
        described["ballots"] = _ballots(outcome)
    return described


def _members(ballots: Sequence[Ballot]) -> list[str]:
    return [ballot.completion.call.member for ballot in ballots]


def _ballots(outcome: Outcome) -> list[dict[str, Any]]:
    """Return one row for each planned call, cast ballots first."""

    def row(call: Call, result: str, **more: Any) -> dict[str, Any]:
        head = {"member": call.member, "sample": call.sample, "outcome": result}
        cost = _cost(outcome.spent[call])
        return {**head, **describe(outcome.asked[call.member]), **more, **cost}

    cast = [
        row(
            ballot.completion.call,
            "voted" if ballot.answer else "abstained",
            answer=ballot.answer.text if ballot.answer else None,
            content=ballot.completion.text,
            finish_reason=ballot.completion.finish_reason,
            seconds=round(ballot.completion.seconds, 3),
        )
        for ballot in outcome.verdict.ballots
    ]
    failed = [
        row(f.call, "failed", error=f.kind, seconds=round(f.seconds, 3)) for f in outcome.failures
    ]
    late = [row(call, "late") for call in outcome.late]
    return cast + failed + late + [row(call, "cancelled") for call in outcome.cancelled]


def _cost(spent: Spent) -> dict[str, Any]:
    if spent.estimated:
        return {"usage": spent.tokens, "estimated": True}
    return {"usage": dict(spent.usage), "estimated": False}
