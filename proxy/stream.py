"""Server-sent events: a member's stream relayed as bytes, a panel's verdict written as one.

A stream that ends cleanly without `finish_reason` is taken as complete by every client, so a
broken one ends with an `event: error` and no `[DONE]`.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from .errors import ApiError

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
_TAIL = 64
"""Bytes kept of a stream's end: enough to find `[DONE]` and the line ends around it."""


def event(payload: Mapping[str, Any]) -> bytes:
    """Return one data event."""
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def error_event(error: ApiError) -> bytes:
    """Return the event that ends a broken stream; load tools count a plain `data:` as success."""
    return b"event: error\ndata: " + error.encode() + b"\n\n"


class Cut(Exception):
    """The engine's stream ended without `[DONE]`."""


async def relay(
    chunks: AsyncIterator[bytes], input_time: Mapping[str, Any] | None
) -> AsyncIterator[bytes]:
    """Yield the engine's bytes as they arrive, after one chunk with `input_time` if given.

    Raises:
        Cut: the stream ended without `[DONE]`.
    """
    tail = b""
    waiting = b""
    introduced = input_time is None
    async for chunk in chunks:
        tail = (tail + chunk)[-_TAIL:]
        if not introduced and input_time is not None:
            waiting += chunk
            first = _first_payload(waiting)
            if first is None:
                continue
            chunk, introduced = event(_introduction(first, input_time)) + waiting, True
        yield chunk
    if not introduced:
        yield waiting
    if b"[DONE]" not in tail:
        raise Cut


def _first_payload(buffered: bytes) -> Mapping[str, Any] | None:
    """Return the first complete JSON event in `buffered`."""
    for line in buffered.splitlines(keepends=True):
        if line.startswith(b"data:") and line.endswith((b"\n", b"\r")):
            try:
                payload = msgspec.json.decode(line[5:])
            except msgspec.MsgspecError:
                continue
            return payload if isinstance(payload, dict) else {}
    return None


def _introduction(first: Mapping[str, Any], input_time: Mapping[str, Any]) -> dict[str, Any]:
    """Return a chunk that names itself as the engine's first does: the SDK keeps the first `id`."""
    head = {field: first.get(field) for field in ("id", "object", "created", "model")}
    choice = {"index": 0, "delta": {}, "finish_reason": None}
    return {**head, "choices": [choice], "input_time": input_time}


def role_event(head: Mapping[str, Any]) -> bytes:
    """Return a panel's first chunk. The role is sent once: clients join repeated ones."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    return event({**head, "choices": [choice]})


def verdict_events(head: Mapping[str, Any], body: Mapping[str, Any], usage: bool) -> bytes:
    """Return the rest of a panel's stream: the winner's message, `input_time`, usage, the end."""
    choice = body["choices"][0]
    delta = {key: value for key, value in choice["message"].items() if key != "role"}
    said = {"index": 0, "delta": delta, "finish_reason": None}
    if "logprobs" in choice:
        said["logprobs"] = choice["logprobs"]
    end = {"index": 0, "delta": {}, "finish_reason": choice.get("finish_reason")}
    events = [
        event({**head, "choices": [said]}),
        event({**head, "choices": [end], "input_time": body["input_time"]}),
    ]
    if usage:
        events.append(event({**head, "choices": [], "usage": body["usage"]}))
    return b"".join([*events, DONE])


def panel_head(request_id: str, model: str, created: int) -> dict[str, Any]:
    """Return the fields that every chunk of a panel's stream shares."""
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
    }
