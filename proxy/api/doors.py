"""The doors to the same chats: the Responses API, Anthropic's messages, a panel's completions.

A request becomes a chat, is served as one, and what is sent back becomes the answer of its API on
the way out. So every door has the same contexts, limits and panels, and a chat passes none.
"""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import msgspec
from starlette.types import Send

from ..base import asgi
from ..base.errors import BadRequest, UpstreamError
from ..base.record import Record
from ..config.settings import Limits, Member, Panel
from ..doors import completions, messages, responses
from ..doors.completions import CompletionAnswer
from ..doors.kept import Kept
from ..doors.message_answer import MessageAnswer, TokenCount
from ..doors.response_answer import ResponseAnswer
from ..doors.translation import Translated, Translator
from ..engines.engine import CHAT
from ..engines.errors import EngineError
from ..state import Generation
from ..wire import request as wire
from . import chat, member
from .endpoints import ENDPOINTS, Endpoint
from .relay import SSE

Translate: TypeAlias = Callable[[wire.Request, Kept, str], Translated]
"""Turns a request into a chat; it is given what was kept, and the name of the key that asks."""

USAGE = {"include_usage": True}
USAGE_LEVEL = 1
"""The index of `USAGE` in `engines.stream_options.LEVELS`."""


@dataclass(slots=True)
class DoorRequest(wire.ChatRequest):
    """A request of another API as a chat, with what writes its answer."""

    answer: Translator


@dataclass(frozen=True, slots=True)
class Door:
    """An API: how its requests become those of `endpoint`. `names` are its names for fields."""

    path: str
    translate: Translate
    names: Mapping[str, str]
    endpoint: Endpoint = ENDPOINTS[CHAT]


def _responses(request: wire.Request, kept: Kept, client: str) -> Translated:
    body, talk = responses.chat(request, kept, client)
    earlier = request.body.get("previous_response_id")
    keep = partial(kept.keep, client, asked=talk.asked, earlier=earlier)
    stored = keep if request.body.get("store") is not False else _forget
    return Translated(body, ResponseAnswer(request.model, request.body, stored))


def _forget(response: Mapping[str, Any]) -> None:
    """Keep nothing."""


def _messages(request: wire.Request, kept: Kept, client: str) -> Translated:
    thinking = messages.shows_thinking(request.body)
    return Translated(messages.chat(request), MessageAnswer(request.model, thinking=thinking))


def _count(request: wire.Request, kept: Kept, client: str) -> Translated:
    return Translated(messages.tokens(request), TokenCount())


_RESPONSES = {"messages": "input", "max_tokens": "max_output_tokens"}
_MESSAGES = {"stop": "stop_sequences"}

DOORS: Mapping[str, Door] = {
    door.path: door
    for door in (
        Door("/v1/responses", _responses, _RESPONSES),
        Door("/responses", _responses, _RESPONSES),
        Door("/v1/messages", _messages, _MESSAGES),
        Door("/v1/messages/count_tokens", _count, _MESSAGES, ENDPOINTS["/tokenize"]),
    )
}
"""By path. Members and panels both answer there; only a member counts tokens."""


def as_chat(door: Door, kept: Kept, record: Record, raw: bytes, limits: Limits) -> DoorRequest:
    """Read a request of another API.

    Raises:
        BadRequest: it has the wrong shape, or means something that a chat has not.
    """
    request = wire.parse_any(raw, limits)
    client = record.client.name if record.client is not None else ""
    return _with_answer(request, door.translate(request, kept, client), limits)


def completion(request: wire.Request, limits: Limits) -> DoorRequest:
    """Return a panel's text completion as a chat.

    Raises:
        BadRequest: as `completions.chat` says.
    """
    answer = CompletionAnswer(request.model, usage=request.wants_usage)
    return _with_answer(request, Translated(completions.chat(request), answer), limits)


def _with_answer(request: wire.Request, found: Translated, limits: Limits) -> DoorRequest:
    body = {name: value for name, value in found.body.items() if name != "stream_options"}
    body |= {"stream": True} if request.stream else {}
    asked = wire.as_chat(replace(request, body=body), limits)
    return DoorRequest(
        asked.model, asked.stream, body, asked.extras, asked.has_extras, asked.messages,
        found.answer,
    )  # fmt: skip


async def serve(
    request: DoorRequest,
    target: Member | Panel,
    generation: Generation,
    record: Record,
    endpoint: Endpoint = ENDPOINTS[CHAT],
) -> None:
    """Answer a chat in the shape of the API that it came from.

    Raises:
        ApiError: as the `endpoint` does, before an answer began.
    """
    record.through(partial(_Translated, request.answer))
    if endpoint.kind != "chat":
        if isinstance(target, Panel):
            raise BadRequest(
                f"the members of the panel {target.name!r} count tokens, each in its own way. Ask"
                f" one of them: {', '.join(target.members)}.",
                param="model",
            )
        return await member.serve(endpoint, target, request, generation, record)
    if isinstance(target, Panel):
        streamed = replace(request, body={**request.body, "stream_options": USAGE})
        return await chat.serve(target, streamed if request.stream else request, generation, record)
    await _member(request, target, generation, record)


async def _member(
    request: DoorRequest, target: Member, generation: Generation, record: Record
) -> None:
    """Ask a member; a stream says what it cost, unless its engine refuses to be asked for that."""
    known, serve = generation.engines[target.engine].stream_options, member.serve
    if not request.stream or known.level > USAGE_LEVEL:
        return await serve(ENDPOINTS[CHAT], target, request, generation, record)
    asked = replace(request, body={**request.body, "stream_options": USAGE})
    try:
        await serve(ENDPOINTS[CHAT], target, asked, generation, record)
    except UpstreamError as refused:
        cause = refused.__cause__
        less = known.less(USAGE_LEVEL, cause if isinstance(cause, EngineError) else None, request)
        if less is None or record.status:
            raise
        await serve(ENDPOINTS[CHAT], target, request, generation, record)
        known.accept(less)
    finally:
        known.leave(request)


class _Translated:
    """Sends what a chat answers as the answer of another API; an error passes as it is."""

    def __init__(self, answer: Translator, send: Send) -> None:
        self._answer, self._send = answer, send
        self._start: MutableMapping[str, Any] | None = None
        self._pieces: list[bytes] = []
        self._passes = self._streams = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._passes = message["status"] != 200
            self._streams = SSE[0] in message["headers"]
            self._start = message
            if self._passes or self._streams:
                await self._send(message)
            return
        if self._passes:
            return await self._send(message)
        await self._body(message.get("body", b""), more=message.get("more_body", False))

    async def _body(self, data: bytes, *, more: bool) -> None:
        if not self._streams:
            self._pieces.append(data)
            return None if more else await self._whole()
        sent = self._answer.feed(data) if data else b""
        if not more:
            sent += self._answer.close()
        if sent or not more:
            await asgi.write(self._send, sent, more=more)

    async def _whole(self) -> None:
        assert self._start is not None
        found = msgspec.json.decode(b"".join(self._pieces))  # checked by the endpoint
        body = msgspec.json.encode(self._answer.whole(found if isinstance(found, dict) else {}))
        headers = [pair for pair in self._start["headers"] if pair[0] != b"content-length"]
        self._start["headers"] = [*headers, (b"content-length", b"%d" % len(body))]
        await self._send(self._start)
        await asgi.write(self._send, body, more=False)


def named(error: BadRequest, door: Door) -> BadRequest:
    """Return the error with the API's own name for the field that it is about."""
    error.param = door.names.get(error.param or "", error.param)
    return error
