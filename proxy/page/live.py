"""A running panel, for who looks at it: what is new of its calls, a few times a second.

Looking pulls. Nothing is added to a request for it but a place in a table, so one that nobody looks
at costs nothing, and a slow browser holds up nobody.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from ..base.outcome import Row
from ..base.told import Told
from .facts import said, texts
from .prompts import composed
from .store import RequestKey, Verdicts

STEP_SECONDS = 0.08
"""Between two looks: as often as an eye needs, with texts in pieces of several tokens."""

PATIENCE_SECONDS = 20.0
"""How long to wait for a request that has not come yet."""

ALIVE_SECONDS = 10.0
"""After so long without news a comment is sent, so that a closed connection is noticed."""

MOST_LOOKERS = 100

Event = tuple[str, Mapping[str, Any]]


async def events(verdicts: Verdicts, key: RequestKey) -> AsyncIterator[bytes]:
    """Yield what is new of the request `key` as server-sent events, until it has ended.

    Events: `waiting`, `begun`, `call`, `asked`, `text`, `end` (of one call), `verdict` (all of it),
    and `nothing` if no such request came.
    """
    verdicts.expect(key)
    try:
        yield _event("waiting", {})
        told = await _begun(verdicts, key)
        if told is None:
            kept = verdicts.get(*key)
            yield _event("verdict", kept.seen()) if kept else _event("nothing", {})
            return
        look = Look(told)
        said_at = time.monotonic()
        while True:
            ended = told.end
            for name, data in look.news():
                said_at = time.monotonic()
                yield _event(name, data)
            if ended is not None:
                yield _event("verdict", {**texts(ended, told), "texts": True})
                return
            if time.monotonic() - said_at > ALIVE_SECONDS:
                said_at = time.monotonic()
                yield b": alive\n\n"
            await asyncio.sleep(STEP_SECONDS)
    finally:
        verdicts.leave(key)


async def _begun(verdicts: Verdicts, key: RequestKey) -> Told | None:
    """Wait for a request that is sent just now; one that has ended already is not waited for."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (told := verdicts.begun(key)) is None:
        if verdicts.get(*key) is not None or time.monotonic() >= until:
            return None
        await asyncio.sleep(STEP_SECONDS / 4)
    return told


class Look:
    """What somebody has seen of a request so far."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._begun = False
        self._known: dict[str, _Seen] = {}

    def news(self) -> list[Event]:
        """Return what is new since the last time."""
        told, found = self._told, list[Event]()
        if not self._begun:
            self._begun = True
            found.append(("begun", {"messages": list(told.messages), "model": told.target.name}))
        for name, row in list(told.rows.items()):
            seen = self._known.get(name)
            if seen is None:
                seen = self._known[name] = _Seen()
                found.append(("call", _introduced(row, told)))
            found += seen.news(row, told)
        return found


class _Seen:
    """What somebody has seen of one call."""

    def __init__(self) -> None:
        self._asked = self._sent = self._ended = False
        self._pieces: dict[str, int] = {}

    def news(self, row: Row, told: Told) -> list[Event]:
        if self._ended:
            return []
        found: list[Event] = []
        name = row.call.name
        if not self._asked and row.started:
            self._asked = True
            found.append(("asked", _asked(row, told)))
        if not self._sent and row.sent:
            self._sent = True
            found.append(("sent", {"name": name, "at": told.since(row.sent[0])}))
        # The last pieces may be joined already: `end` has the whole texts.
        for kind, pieces in list((row.spent.said or {}).items()):
            new = "".join(pieces[self._pieces.get(kind, 0) :])
            self._pieces[kind] = len(pieces)
            if new and kind in ("content", "reasoning", "reasoning_content"):
                first = None if row.spent.first is None else told.since(row.spent.first)
                kind = "content" if kind == "content" else "reasoning"
                counted = {"tokens": row.spent.tokens["completion_tokens"], "first": first}
                found.append(("text", {"name": name, kind: new, **counted}))
        if row.reply is not None or row.failed is not None or told.end is not None:
            self._ended = True
            found.append(("end", _ended(row)))
        return found


def _introduced(row: Row, told: Told) -> Mapping[str, Any]:
    call = row.call
    return {
        "name": call.name, "role": call.role, "round": call.round, "member": row.member,
        "shown": call.shown, "start": told.since(row.started or time.monotonic()),
    }  # fmt: skip


def _asked(row: Row, told: Told) -> Mapping[str, Any]:
    messages = told.messages if row.call.messages is None else row.call.messages
    context = row.asked.context
    return {
        "name": row.call.name,
        "strategy": row.asked.strategy,
        "persona": context.persona if context else None,
        "source": context.source if context else None,
        "prompt": composed(messages, row.asked),
    }


def _ended(row: Row) -> Mapping[str, Any]:
    outcome = row.outcome if row.failed is None else "failed"
    return {
        "name": row.call.name,
        "outcome": outcome,
        "error": row.failed.kind if row.failed else None,
        "seconds": row.seconds,
        "tokens": row.spent.tokens["completion_tokens"],
        "estimated": row.spent.estimated,
        "finish_reason": row.reply.finish_reason if row.reply else None,
        "score": row.reply.score if row.reply else None,
        **said(row),
    }


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data, enc_hook=str))
