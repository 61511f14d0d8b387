"""What the proxy must know of a stream that it relays as bytes: whether it came to its end, and
where its first chunk is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from its.sse import EVENT_ENDS, Event, Reader, lines

from ..base.errors import UNREADABLE
from . import render
from . import stream as events

MOST_LAST = 64 * 1024
"""Bytes that are kept of a stream's last event."""

Told = Mapping[str, Any]
Tell = Callable[[bytes, bytes, Told, Told], bytes]
"""Tells `input_time` in the beginning of a stream: takes that, and the first event's data."""


@dataclass(frozen=True, slots=True)
class StreamKind:
    """A kind of stream: how it ends, and how it tells `input_time`.

    `key` is a JSON key whose value completes a choice if it matches `value`: a stream whose
    choices are all complete has ended well, with or without `[DONE]`.
    """

    key: bytes
    value: re.Pattern[bytes]
    tell: Tell


def _chunk_before(**empty: Any) -> Tell:
    """Return what puts a chunk before the first, with a choice that says nothing."""
    choice = {"index": 0, **empty, "finish_reason": None}

    def tell(begun: bytes, data: bytes, first: Told, input_time: Told) -> bytes:
        if "input_time" in first:  # the engine is a proxy too, and tells its own there
            return _in_the_first(begun, data, first, input_time)
        # It names itself as the engine's first does: the SDK keeps the first `id`.
        head = {field: first.get(field) for field in ("id", "object", "created", "model")}
        return events.event({**head, "choices": [choice], "input_time": input_time}) + begun

    return tell


def _in_the_first(begun: bytes, data: bytes, first: Told, input_time: Told) -> bytes:
    return begun.replace(data, render.splice(data, input_time), 1) if first else begun


_FINISHED = (b'"finish_reason"', re.compile(rb'\s*:\s*"[^"]'))

CHAT = StreamKind(*_FINISHED, _chunk_before(delta={}))
COMPLETIONS = StreamKind(*_FINISHED, _chunk_before(text="", logprobs=None))
_DONE = b"[DONE]"
_DATA = re.compile(rb"(?:^|[\r\n])data: ?$")
_NULLS = (b":null", b": null")
_KEPT = 80
"""Bytes kept of an event that is not complete: more than any mark, or key with its value, has."""


class Watch:
    """Tells whether a relayed stream came to its end. It searches bytes and parses nothing.

    `choices` is how many answers the stream carries (`n` of the request, for each prompt).
    """

    def __init__(self, kind: StreamKind, choices: int = 1) -> None:
        self._kind = kind
        self._choices = _Choices(choices) if choices > 1 else None
        self._whole = True
        self._tail = b""
        self._last: list[bytes] = []
        self._last_size = 0
        self.ended = False

    def see(self, data: bytes) -> None:
        """Take the next piece. This runs for every chunk of every stream: it must cost little."""
        # Nearly every piece is a whole event. Only the others can have a mark across two of them.
        seen = data if self._whole else self._tail + data
        if not self.ended:
            self.ended = self._ends(seen) or self._completes(seen, data)
        if self._whole and not data.startswith(b":"):  # a comment does not hide an error event
            self._last, self._last_size = [data], len(data)
        else:
            self._last.append(data)
            self._last_size += len(data)
            if self._last_size > 2 * MOST_LAST:
                self._last = [b"".join(self._last)[-MOST_LAST:]]
                self._last_size = MOST_LAST
        self._whole = data.endswith(b"\n\n") or seen.endswith(EVENT_ENDS)
        if self._whole:
            self._tail = b""
        else:  # a tail that is cut begins within a line: nothing may match at its beginning
            self._tail = seen if len(seen) <= _KEPT else b"\\" + seen[-_KEPT:]

    def _ends(self, seen: bytes) -> bool:
        """Tell whether `[DONE]` stands at the beginning of a line.

        No JSON holds a bare line end: in a model's text it cannot.
        """
        at = seen.rfind(_DONE)  # from the right: three times as fast, and it stands there
        while at >= 0:
            if _DATA.search(seen[max(0, at - 7) : at]):
                return True
            at = seen.rfind(_DONE, 0, at)
        return False

    def _completes(self, seen: bytes, data: bytes) -> bool:
        """Tell whether every choice has its `finish_reason`.

        In a model's text the key's quotes have a backslash before them, so that it is not found.
        """
        if self._choices is not None:
            return self._choices.see(data)
        key, value = self._kind.key, self._kind.value
        at = seen.rfind(key)
        while at >= 0:
            end = at + len(key)
            found = not seen.startswith(_NULLS, end) and value.match(seen, end)
            if found and seen[max(0, at - 1) : at] != b"\\":
                return True
            at = seen.rfind(key, 0, at)
        return False

    @property
    def failed(self) -> bool:
        """Whether the engine itself ended the stream with an error event."""
        reader = Reader()
        events = [*reader.feed(b"".join(self._last)), *reader.close()]
        return any(map(_is_error, events))

    @property
    def gap(self) -> bytes:
        """What must stand before a further event: line ends, where the stream broke in one."""
        return b"" if self._whole else b"\n\n"


class _Choices:
    """Counts the choices that are complete, where a stream carries several: this has to parse."""

    def __init__(self, number: int) -> None:
        self._number, self._reader = number, Reader()
        self._complete: set[Any] = set()

    def see(self, data: bytes) -> bool:
        """Take the next piece; tell whether all choices are complete."""
        for event in self._reader.feed(data):
            body = _payload(event) or {}
            choices = body.get("choices")
            for choice in choices if isinstance(choices, list) else ():
                if isinstance(choice, dict) and choice.get("finish_reason"):
                    self._complete.add(str(choice.get("index", 0)))
        return len(self._complete) >= self._number


def number(body: Told) -> int:
    """Return how many answers a request asks for: `n`, for each prompt of a list."""
    n, prompt = body.get("n"), body.get("prompt")
    each = n if isinstance(n, int) and n > 0 else 1
    texts = isinstance(prompt, list) and bool(prompt) and not isinstance(prompt[0], int)
    return each * (len(prompt) if texts and isinstance(prompt, list) else 1)


class Introduction:
    """Has `input_time` told at a stream's first chunk, and nowhere else.

    The stream is held back until that chunk is known. An engine that is a proxy too may tell its
    own later; clients that read the last one would take it for ours, so it is left out there.
    """

    def __init__(self, input_time: Told, kind: StreamKind) -> None:
        self._input_time, self._kind = input_time, kind
        self._reader: Reader | None = Reader()
        self._waiting: list[bytes] = []

    def take(self, data: bytes) -> bytes | None:
        """Return what may be sent, or `None` while a chunk is not complete."""
        self._waiting.append(data)
        if self._reader is None:
            return self._later(data)
        for event in self._reader.feed(data):
            first = _payload(event)
            if first is not None:
                self._reader = None
                return self._begin(event.data, first)
        return None

    @property
    def rest(self) -> bytes:
        """What waits: in the end, a stream without a chunk, or a chunk without its end."""
        return b"".join(self._waiting)

    def _begin(self, data: bytes, first: Told) -> bytes:
        begun, found, behind = self.rest.partition(data)
        self._waiting = [behind] if behind else []
        told = self._kind.tell(begun + found, data, first, self._input_time)
        return told + (self._later(behind) or b"")

    def _later(self, data: bytes) -> bytes | None:
        # The longest of the ends has three bytes, which may be the last three pieces.
        if not (data.endswith(EVENT_ENDS) or b"".join(self._waiting[-3:]).endswith(EVENT_ENDS)):
            return None
        whole, self._waiting = self.rest, []
        return b"".join(map(_untold, lines(whole))) if render.TOLD_KEY in whole else whole


def _untold(line: bytes) -> bytes:
    """Return a line without the `input_time` in its data."""
    data = line.removeprefix(b"data:")
    fields = render.told_already(data) if data != line else None
    if fields is None:
        return line
    fields.pop(render.TOLD)
    return b"data: " + msgspec.json.encode(fields) + data[len(data.rstrip(b"\r\n")) :]


def _payload(event: Event) -> Told | None:
    """Return what an event says, `{}` if that is no object; `None` where it is no JSON."""
    try:
        payload = msgspec.json.decode(event.data)
    except UNREADABLE:
        return None
    return payload if isinstance(payload, dict) else {}


def _is_error(event: Event) -> bool:
    payload = _payload(event) or {}
    flat = payload.get("object") == "error" or payload.get("type") == "error"
    return event.name == b"error" or bool(payload.get("error")) or flat
