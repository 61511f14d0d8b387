"""What a response says of itself: the `input_time` object, the headers, a panel's completion."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..base.asgi import Headers
from ..base.errors import UNREADABLE
from ..base.outcome import PanelOutcome, Row, Spent
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
    if context and context.strategy != asked.strategy:  # a strategy that draws among others
        described["drawn"] = context.strategy
    if context and context.version:
        described["version"] = context.version
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


def panel_headers(outcome: PanelOutcome, record: Record) -> Headers:
    """Return the headers of a panel's response that is not streamed."""
    asked = outcome.winner.asked
    used = {row.call.member for row in outcome.rows if row.outcome == "ok"}
    own = [pair for pair in headers(asked, record) if pair[0] != b"x-input-time-models-used"]
    return [
        *own,
        (b"x-input-time-method", outcome.method.encode()),
        (b"x-input-time-decided", msgspec.json.encode(outcome.verdict.decided)),
        (b"x-input-time-votes", b"%d/%d" % (outcome.votes, outcome.planned)),
        (b"x-input-time-models-used", b"%d" % len(used)),
    ]


def panel_body(
    outcome: PanelOutcome, request: Request, record: Record, input_time: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the panel's chat completion: the winner's choice verbatim, everybody's usage."""
    completed = outcome.winner.completed
    assert completed is not None
    return {
        "id": f"chatcmpl-{record.request_id.decode()}",
        "object": "chat.completion",
        "created": completed.body.get("created"),
        "model": request.model,
        "choices": [_choice(outcome, request)],
        "usage": outcome.usage,
        "input_time": input_time,
    }


def _choice(outcome: PanelOutcome, request: Request) -> dict[str, Any]:
    """Return the chosen message as the engine's choice has it; an abstention says nothing."""
    verdict, row = outcome.verdict, outcome.winner
    if verdict.withheld:
        message = {"role": "assistant", "content": None}
        return {"index": 0, "message": message, "finish_reason": "stop"}
    assert row.completed is not None
    assert row.reply is not None
    choice = {**row.completed.choice, "message": row.reply.message, "index": 0}
    if "logprobs" in row.call.params and not request.body.get("logprobs"):
        choice.pop("logprobs", None)  # the method asked for them
    return choice


def describe_panel(outcome: PanelOutcome, with_ballots: bool) -> dict[str, Any]:
    """Return the `input_time` object of a panel's response."""
    verdict, asked = outcome.verdict, outcome.winner.asked
    agreement, ended = verdict.agreement, [row.outcome for row in outcome.rows]
    described = {
        **describe(asked),
        "method": outcome.method,
        "decided": verdict.decided,
        "withheld": verdict.withheld,
        "votes": [
            {
                "answer": cluster.answer.text,
                "votes": len(cluster.ballots),
                "members": [reply.call.member for reply in cluster.ballots],
            }
            for cluster in verdict.clusters
        ],
        "abstained": outcome.abstained,
        "failed": ended.count("failed"),
        "late": ended.count("late"),
        "cancelled": ended.count("cancelled"),
        "undecided": outcome.undecided,
        "agreement": None if agreement is None else round(agreement, 4),
        "winner": asked.member.name,
        "stopped": outcome.stopped or verdict.account.get("stopped"),
        "account": verdict.account,
        "calls": [_call(row) for row in outcome.rows],
    }
    if with_ballots:
        described["ballots"] = _ballots(outcome)
    return described


def _call(row: Row) -> dict[str, Any]:
    """Return the account of one call."""
    call, tokens = row.call, row.spent.tokens
    told = {
        "name": call.name,
        "role": call.role,
        "round": call.round,
        "member": row.member,
        "tokens": tokens["completion_tokens"],
        "prompt_tokens": tokens["prompt_tokens"],
        "seconds": round(row.seconds, 3),
        "outcome": row.outcome,
    }
    return {**told, "error": row.failed.kind} if row.failed else told


def _ballots(outcome: PanelOutcome) -> list[dict[str, Any]]:
    """Return one row for each call for an answer, cast ballots first; then failed, late, others."""
    numbers: dict[str, int] = {}
    rows = []
    for row in outcome.rows:
        if row.call.role == "answer":
            numbers[row.member] = sample = numbers.get(row.member, -1) + 1
            rows.append(_ballot(row, sample))
    order = ("voted", "abstained", "failed", "late", "cancelled")
    return sorted(rows, key=lambda ballot: max(1, order.index(ballot["outcome"])))


def _ballot(row: Row, sample: int) -> dict[str, Any]:
    head = {"name": row.call.name, "round": row.call.round, **_told(row), "sample": sample}
    if row.outcome != "ok":
        failed = {"error": row.failed.kind, "seconds": round(row.seconds, 3)} if row.failed else {}
        return {**head, "outcome": row.outcome, **failed, **_cost(row.spent)}
    reply = row.reply
    assert reply is not None
    content = reply.message.get("content")
    return {
        **head,
        "outcome": "voted" if reply.answer else "abstained",
        "answer": reply.answer.text if reply.answer else None,
        "content": content if isinstance(content, str) else "",
        "finish_reason": reply.finish_reason,
        "seconds": round(reply.seconds, 3),
        **_cost(row.spent),
    }


def _told(row: Row) -> dict[str, Any]:
    """Return whom a call asked, and how: without a persona where none was written in time."""
    return {"member": row.member, **describe(row.asked)}


def _cost(spent: Spent) -> dict[str, Any]:
    if spent.estimated:
        return {"usage": spent.tokens, "estimated": True}
    return {"usage": dict(spent.usage), "estimated": False}
