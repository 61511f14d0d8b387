"""Server-sent events: a member's stream relayed as bytes, a panel's verdict written as one.

A stream that ends cleanly without `finish_reason` is taken as complete by every client, so a
broken one ends with an `event: error` and no `[DONE]`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from . import render
from .errors import UNREADABLE, ApiError

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
Told = Mapping[str, Any]
Tell = Callable[[bytes, slice, Told, Told], bytes]
"""Tells `input_time` in the beginning of a stream, whose first event has its data at the slice."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of stream: how it ends, and how it tells `input_time`."""

    ends: Sequence[bytes]
    tell: Tell


def _chunk_before(**empty: Any) -> Tell:
    """Return what puts a chunk before the first, with a choice that says nothing."""
    choice = {"index": 0, **empty, "finish_reason": None}

    def tell(begun: bytes, _: slice, first: Told, input_time: Told) -> bytes:
        # It names itself as the engine's first does: the SDK keeps the first `id`.
        head = {field: first.get(field) for field in ("id", "object", "created", "model")}
        return event({**head, "choices": [choice], "input_time": input_time}) + begun

    return tell


def _in_the_first(begun: bytes, at: slice, first: Told, input_time: Told) -> bytes:
    """Clients of the Responses API refuse an event that they do not know: none is added."""
    data = render.splice(begun[at], input_time) if first else begun[at]
    return begun[: at.start] + data + begun[at.stop :]


_DONE = (b"\ndata: [DONE]", b"\ndata:[DONE]")
"""No JSON holds a bare line end."""

CHAT = Kind(_DONE, _chunk_before(delta={}))
COMPLETIONS = Kind(_DONE, _chunk_before(text="", logprobs=None))
RESPONSES = Kind(
    (
        *_DONE,
        b"\nevent: response.completed",
        b"\nevent: response.incomplete",
        b"\nevent: response.failed",
    ),
    _in_the_first,
)


def event(payload: Mapping[str, Any]) -> bytes:
    """Return one data event."""
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def error_event(error: ApiError) -> bytes:
    """Return the event that ends a broken stream; load tools count a plain `data:` as success.

    Its head is gone, so that `x-should-retry` becomes `should_retry` of the error.
    """
    told = error.payload()
    if error.headers.get("x-should-retry") == "false":
        told["error"]["should_retry"] = False
    return b"event: error\ndata: " + msgspec.json.encode(told) + b"\n\n"


class Watch:
    """Tells whether a relayed stream came to its end, from the last bytes of each piece."""

    def __init__(self, ends: Sequence[bytes]) -> None:
        self._ends, self._tail = ends, b"\n"
        self._kept = max(map(len, ends))
        self.ended = False

    def see(self, data: bytes) -> None:
        """Take the next piece."""
        # An end mark may lie across two pieces, so that a few bytes are kept from one to the next.
        seen = self._tail + data
        for end in self._ends:
            if end in seen:
                self.ended = True
        self._tail = seen[-self._kept :]

    @property
    def gap(self) -> bytes:
        """What must stand before a further event: line ends, where the stream broke in one."""
        whole = self._tail == b"\n" or self._tail.endswith((b"\n\n", b"\r\n\r\n"))
        return b"" if whole else b"\n\n"


class Introduction:
    """Holds a stream back until its first chunk is known, and has `input_time` told there."""

    def __init__(self, input_time: Told, kind: Kind) -> None:
        self._input_time, self._kind = input_time, kind
        self._waiting = b""

    def take(self, data: bytes) -> bytes | None:
        """Return what may be sent, or `None` while the first chunk is not complete."""
        self._waiting += data
        start = 0
        for line in self._waiting.splitlines(keepends=True):
            first = _payload(line)
            if first is not None:
                at = slice(start + len(b"data:"), start + len(line.rstrip(b"\r\n")))
                return self._kind.tell(self._waiting, at, first, self._input_time)
            start += len(line)
        return None

    @property
    def rest(self) -> bytes:
        """What waits, where no chunk came."""
        return self._waiting


def _payload(line: bytes) -> Told | None:
    """Return what a whole line of data says; `None` where it is none or no JSON."""
    if not line.startswith(b"data:") or not line.endswith((b"\n", b"\r")):
        return None
    try:
        payload = msgspec.json.decode(line[len(b"data:") :])
    except UNREADABLE:
        return None
    return payload if isinstance(payload, dict) else {}


def role_event(head: Mapping[str, Any]) -> bytes:
    """Return a panel's first chunk. The role is sent once: clients join repeated ones."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    return event({**head, "choices": [choice]})


def reasoning_event(head: Mapping[str, Any], reasoning: str) -> bytes:
    """Return a piece of the leader's reasoning."""
    delta = {"reasoning_content": reasoning}
    return event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


def verdict_events(
    head: Mapping[str, Any], body: Mapping[str, Any], usage: bool, reasoned: bool = False
) -> bytes:
    """Return the rest of a panel's stream: the winner's message, `input_time`, usage, the end.

    `reasoned` says that the leader's reasoning was shown, which the winner's must not follow.
    """
    choice = body["choices"][0]
    left_out = {"role", "reasoning_content"} if reasoned else {"role"}
    delta = {key: value for key, value in choice["message"].items() if key not in left_out}
    for index, call in enumerate(delta.get("tool_calls") or []):
        call.setdefault("index", index)  # a delta's tool calls say which they continue
    said = {"index": 0, "delta": delta, "finish_reason": None}
    if "logprobs" in choice:
        said["logprobs"] = choice["logprobs"]
    end = {**choice, "index": 0, "delta": {}}
    for name in ("message", "logprobs"):
        end.pop(name, None)
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
