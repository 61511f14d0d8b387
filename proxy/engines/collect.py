"""A streamed completion put together again: a panel votes over whole messages.

Panels stream from engines so that a call which is cancelled has said what it cost by then.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from its.sse import Event, Reader

from ..base.errors import UNREADABLE
from ..base.outcome import Spent
from .errors import EngineError
from .response import MOST_BODY, HttpError, Response

T = TypeVar("T")

Heard: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Is told every choice of a stream's chunks, as it comes."""


class Collector:
    """Joins the chunks of one streamed chat completion (its first choice).

    `spent` is kept up to date while the stream runs.
    """

    def __init__(self, spent: Spent, heard: Heard | None) -> None:
        self._spent, self._heard = spent, heard
        self._size = 0
        self._reader = Reader()
        self._body: dict[str, Any] = {}
        self._choice: dict[str, Any] = {"index": 0}
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        # Pieces are joined at the end: adding each to one text would cost the square of its length.
        self._texts: dict[str, list[str]] = {}
        spent.said = self._texts
        self._said_in_calls: dict[tuple[int, str], list[str]] = {}

    async def read(self, response: Response) -> dict[str, Any]:
        """Read the whole stream; return the completion that it stands for.

        Raises:
            EngineError: as `feed` and `completion` say.
            HttpError: the connection broke before the message was complete.
        """
        try:
            async for chunk in response.chunks():
                self.feed(chunk)
        except HttpError:
            if not self.finished:  # what breaks behind the message is nobody's loss
                raise
        return self.completion()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream.

        Raises:
            EngineError: it is no stream of completion chunks, carries an error, or has more
                than `MOST_BODY` bytes, the limit of an answer that is not streamed.
        """
        self._size += len(data)
        if self._size > MOST_BODY:
            raise EngineError("protocol", f"the engine streamed more than {MOST_BODY} bytes")
        for event in self._reader.feed(data):
            self._hear(event)

    @property
    def finished(self) -> bool:
        """Whether the message is complete: it has a `finish_reason`. `[DONE]` may be missing."""
        return self._choice.get("finish_reason") is not None

    def completion(self) -> dict[str, Any]:
        """Return the completion that the stream stands for, once the stream has ended.

        Raises:
            EngineError: the stream ended before its message did.
        """
        for event in self._reader.close():
            try:
                self._hear(event)
            except EngineError as error:  # an event that was cut is a cut, not bad JSON
                if error.kind != "protocol":
                    raise
        if not self.finished:
            raise EngineError("broken", "the engine cut its stream")
        for name, pieces in self._texts.items():
            self._message[name] = "".join(pieces)
        self._spent.said = None  # the pieces need many times the memory of the text
        for call in self._message.get("tool_calls") or ():
            index = call.pop("index", None)  # a field of pieces: a whole message has none
            said = ((key[1], told) for key, told in self._said_in_calls.items() if key[0] == index)
            call["function"].update((name, "".join(told)) for name, told in said)
        choice = {**self._choice, "message": self._message}
        return {**self._body, "object": "chat.completion", "choices": [choice],
                "usage": self._spent.usage}  # fmt: skip

    def _hear(self, event: Event) -> None:
        data = event.data.strip()
        if data and data != b"[DONE]":
            chunk = _chunk(data)
            if event.name == b"error":
                raise _broke_off(chunk)
            self._take(chunk)

    def _take(self, chunk: Mapping[str, Any]) -> None:
        if isinstance(usage := chunk.get("usage"), dict):
            self._spent.take(usage)
        for name, value in chunk.items():
            if name not in ("choices", "usage", "object") and value is not None:
                self._body.setdefault(name, value)
        for choice in _shaped(chunk.get("choices"), list, "choices")[:1]:
            self._choose(_shaped(choice, dict, "a choice"))
        if self._spent.told is not None:
            self._spent.told()

    def _choose(self, choice: Mapping[str, Any]) -> None:
        if _shaped(choice.get("index"), int, "an index") != 0:
            return
        for name, value in choice.items():
            if name == "logprobs" and value is not None:
                more = _shaped(value, dict, "logprobs")
                _extend(self._choice.setdefault("logprobs", {}), more)
            elif name not in ("delta", "index") and value is not None:
                self._choice[name] = value
        self._delta(_shaped(choice.get("delta"), dict, "a delta"))
        if self._heard is not None:
            self._heard(choice)

    def _delta(self, delta: Mapping[str, Any]) -> None:
        said = False
        for name, value in delta.items():
            if name == "tool_calls" and value is not None:
                pieces = _shaped(value, list, "tool calls")
                calls = self._message.setdefault("tool_calls", [])
                _merge_calls(calls, pieces, self._said_in_calls)
                said = True
            elif name != "role" and isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
                said = said or bool(value)
            elif value is not None:
                self._message[name] = value
        if said and not self._spent.chunks:
            self._spent.first = time.monotonic()
        self._spent.chunks += said


def _chunk(payload: bytes) -> Mapping[str, Any]:
    try:
        chunk = msgspec.json.decode(payload)
    except UNREADABLE as error:
        raise EngineError("protocol", "the engine's stream is not JSON") from error
    if not isinstance(chunk, dict):
        raise EngineError("protocol", "the engine's stream is not made of objects")
    if chunk.get("error") or chunk.get("object") == "error":
        raise _broke_off(chunk)
    return chunk


def _broke_off(chunk: Mapping[str, Any]) -> EngineError:
    """Return the failure that an engine's error event tells; SGLang's may be flat."""
    failed = chunk.get("error") or chunk
    message = failed.get("message") if isinstance(failed, dict) else failed
    return EngineError("broken", f"the engine broke off: {message}")


def _shaped(value: Any, kind: type[T], what: str) -> T:
    """Return `value`; what is left out, or null, is an empty one.

    Raises:
        EngineError: it is something else than a `kind`.
    """
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise EngineError("protocol", f"the engine's stream has {what} of the wrong shape")
    return value


def _extend(all_: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, list):
            if all_.get(name) is None:
                all_[name] = []
            _shaped(all_[name], list, "logprobs").extend(value)
        else:
            all_.setdefault(name, value)


def _merge_calls(
    calls: list[dict[str, Any]], pieces: list[Any], texts: dict[tuple[int, str], list[str]]
) -> None:
    """Add pieces of tool calls to those with the same index; what they say goes into `texts`."""
    for each in pieces:
        piece = _shaped(each, dict, "a tool call")
        said = _shaped(piece.get("function"), dict, "a function")
        index = piece.get("index")
        if index is None:  # some engines number nothing: then a new call is known by its id
            index = len(calls) if piece.get("id") or not calls else calls[-1]["index"]
        call = next((call for call in calls if call["index"] == index), None)
        if call is None:
            call = {**piece, "index": index, "function": {}}
            calls.append(call)
        for name, value in said.items():
            if isinstance(value, str):
                texts.setdefault((index, name), []).append(value)
            else:
                call["function"][name] = value
