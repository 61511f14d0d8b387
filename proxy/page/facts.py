"""What is told of a request that ended, as JSON: its facts, and with them its texts.

Facts hold nothing that a client or a model wrote: no question, answer, persona, or error text.
"""

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from its.types import Message

from ..base.outcome import Row
from ..base.prompt import MemberPrompt
from ..base.told import Told
from ..config.settings import Panel
from . import prompts
from .replies import reply_of, tokens_of

LARGE = 4_000
"""Bytes of facts from which on they are compressed: a panel may have made 192 calls."""

WORDS = frozenset({"stopped", "method", "prompt_sha256"})
"""Keys of an account whose texts are our own words."""

MOST_CONTENT = 400_000
"""Characters of one text that is shown."""


class End(NamedTuple):
    """How a request ended. `at` is when it came (seconds since 1970)."""

    request_id: str
    model: str
    at: float
    seconds: float
    first_byte: float | None
    status: int
    cause: str
    error: str
    streamed: bool


def packed(told: Mapping[str, Any]) -> bytes:
    """Return facts as bytes."""
    raw = msgspec.json.encode(told)
    return zlib.compress(raw, 1) if len(raw) > LARGE else raw


def unpacked(raw: bytes) -> dict[str, Any]:
    """Return what `packed` packed."""
    found: dict[str, Any] = msgspec.json.decode(raw if raw[:1] == b"{" else zlib.decompress(raw))
    return found


def facts(end: End, told: Told) -> dict[str, Any]:
    """Return what a request was and how it ended, without any text."""
    head = {
        "id": end.request_id,
        "model": end.model,
        "kind": "panel" if isinstance(told.target, Panel) else "member",
        "at": end.at,
        "seconds": end.seconds,
        "first_byte": end.first_byte,
        "status": end.status,
        "cause": end.cause or None,
        "error": end.error or None,
        "streamed": end.streamed,
        "failed": end.status >= 400 or bool(end.cause) or bool(end.error),
    }
    if not isinstance(told.target, Panel):
        return {**head, **_of_member(end, told)}
    calls = [_call(row, told) for row in told.rows.values()]
    return {**head, "method": told.target.method, "calls": calls, **_of_outcome(told)}


def _of_member(end: End, told: Told) -> dict[str, Any]:
    call = {
        "name": "answer", "role": "answer", "round": 0, "member": told.target.name,
        **(_asked(told.prompt) if told.prompt else {}),
        "outcome": "ok" if end.status < 400 and not end.error else "failed",
        "answered": None, "tokens": None, "start": told.offset,
        "first": end.first_byte if end.streamed else None, "end": end.seconds, "sent": [],
    }  # fmt: skip
    return {"method": None, "calls": [call]}


def _call(row: Row, told: Told) -> dict[str, Any]:
    call, spent, reply = row.call, row.spent, row.reply
    started = row.started or told.began
    return {
        "name": call.name,
        "role": call.role,
        "round": call.round,
        "member": row.member,
        **_asked(row.asked),
        "outcome": row.outcome,
        "error": row.failed.kind if row.failed else None,
        "start": round(told.since(started), 5),  # short, as a panel may have 192 of these
        "sent": [round(told.since(moment), 5) for moment in row.sent],
        "first": None if spent.first is None else round(told.since(spent.first), 5),
        "end": round(told.since(started) + row.seconds, 5),
        "prompt_tokens": spent.tokens["prompt_tokens"],
        "tokens": spent.tokens["completion_tokens"],
        "estimated": spent.estimated,
        "finish_reason": reply.finish_reason if reply else None,
        "answered": reply is not None and reply.answer is not None,
        "score": reply.score if reply else None,
        "shown": call.shown,
    }


def _asked(asked: MemberPrompt) -> dict[str, Any]:
    context = asked.context
    return {
        "strategy": asked.strategy,
        "source": context.source if context else None,
        "placement": asked.layout.placement if context else None,
        "seed": asked.seed,
        "co_design": asked.co_design.value,
        "persona_usage": asked.usage,
    }


def _of_outcome(told: Told) -> dict[str, Any]:
    outcome = told.outcome
    if outcome is None:
        return {"decided": None, "agreement": None, "withheld": False, "clusters": [],
                "winner": None}  # fmt: skip
    verdict, ended = outcome.verdict, [row.outcome for row in outcome.rows]
    options = told.case.options if told.case else None
    return {
        "decided": verdict.decided,
        "withheld": verdict.withheld,
        "agreement": verdict.agreement,
        "threshold": getattr(options, "threshold", None) or None,
        "planned": outcome.planned,
        "clusters": [
            {"weight": each.weight, "calls": [reply.call.name for reply in each.ballots]}
            for each in verdict.clusters
        ],
        "winner": outcome.winner.call.name,
        "stopped": outcome.stopped or verdict.account.get("stopped"),
        "account": worded(verdict.account),
        "abstained": outcome.abstained,
        "late": ended.count("late"),
        "cancelled": ended.count("cancelled"),
        "failures": ended.count("failed"),
        "undecided": outcome.undecided,
        "usage": outcome.usage,
    }


def worded(value: Any, key: str = "") -> Any:
    """Return a method's account without any text that is not ours: plug-ins may quote answers."""
    if isinstance(value, str):
        return value if key in WORDS else None
    if isinstance(value, Mapping):
        return {name: worded(each, name) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [worded(each, key) for each in value]
    return value


def texts(end: End, told: Told) -> dict[str, Any]:
    """Return the facts of a request with all that was written."""
    found = facts(end, told)
    found["messages"] = list(told.messages)
    found["message"] = told.error
    if not isinstance(told.target, Panel):
        found["calls"][0] |= _said_by_member(told)
        found["prompts"] = prompts.of_member(told, found["calls"][0])
        return found
    for call, row in zip(found["calls"], told.rows.values(), strict=True):
        call |= said(row)
    found["prompts"] = prompts.of_panel(told, found["calls"])
    if told.outcome is not None:
        found["account"] = told.outcome.verdict.account
        for cluster, held in zip(found["clusters"], told.outcome.verdict.clusters, strict=True):
            cluster |= {"answer": held.answer.text, "kind": held.answer.kind}
    return found


def said(row: Row) -> dict[str, Any]:
    """Return the texts of one call."""
    context = row.asked.context
    told: dict[str, Any] = {
        "persona": context.persona if context else None,
        "domain": context.domain if context else None,
        "detail": row.failed.detail if row.failed else None,
        "prefix": row.call.prefix,
        "answer": None,
    }
    reply = row.reply
    if reply is None or not reply.ok:
        pieces = {name: "".join(each) for name, each in (row.spent.said or {}).items()}
        return {**told, **of_message(pieces)}
    if reply.answer is not None:
        told |= {"answer": reply.answer.text, "answer_kind": reply.answer.kind}
    return {**told, **of_message(reply.message)}


def of_message(message: Message) -> dict[str, Any]:
    """Return what an assistant's message says: content, thinking, tool calls."""
    content = message.get("content")
    thought = message.get("reasoning_content") or message.get("reasoning")
    return {
        "content": content[:MOST_CONTENT] if isinstance(content, str) else "",
        "reasoning": thought[:MOST_CONTENT] if isinstance(thought, str) else "",
        "tool_calls": message.get("tool_calls") or [],
    }


def _said_by_member(told: Told) -> dict[str, Any]:
    prompt = told.prompt
    context = prompt.context if prompt else None
    found = {
        "persona": context.persona if context else None,
        "domain": context.domain if context else None,
        "answer": None,
        "detail": told.error,
    }
    message, _ = reply_of(told)
    return {**found, **of_message(message), **tokens_of(told)}
