"""A streamed completion put together again: a panel votes over whole messages.

Panels stream from engines so that a call which is cancelled has said what it cost by then.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .engines import EngineError
from .errors import UNREADABLE
from .outcome import Spent


class Collector:
    """Joins the chunks of one streamed chat completion (its first choice).

    `spent` is kept up to date while the stream runs; `heard` is told every delta.
    """

    def __init__(self, spent: Spent, heard: Callable[[Mapping[str, Any]], None] | None) -> None:
        self._spent, self._heard = spent, heard
        self._rest = b""
        self._body: dict[str, Any] = {}
        self._choice: dict[str, Any] = {"index": 0}
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._texts: dict[str, list[str]] = {}
        self.done = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream.

        Raises:
            EngineError: it is no stream of completion chunks, or carries an error.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                payload = line[5:].strip()
                if payload == b"[DONE]":
                    self.done = True
                elif payload:
                    self._take(_chunk(payload))

    def completion(self) -> dict[str, Any]:
        """Return the completion that the stream stands for.

        Raises:
            EngineError: the stream ended before its message did.
        """
        if not self.done or self._choice.get("finish_reason") is None:
            raise EngineError("broken", "the engine cut its stream")
        for name, pieces in self._texts.items():
            self._message[name] = "".join(pieces)
        choice = {**self._choice, "message": self._message}
        return {**self._body, "object": "chat.completion", "choices": [choice],
                "usage": self._spent.usage}  # fmt: skip

    def _take(self, chunk: Mapping[str, Any]) -> None:
        if isinstance(usage := chunk.get("usage"), dict):
            self._spent.usage = usage
        for name, value in chunk.items():
            if name not in ("choices", "usage", "object") and value is not None:
                self._body.setdefault(name, value)
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index", 0) != 0:
            return
        for name, value in choice.items():
            if name == "logprobs" and isinstance(value, dict):
                _extend(self._choice.setdefault("logprobs", {}), value)
            elif name not in ("delta", "index") and value is not None:
                self._choice[name] = value
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta(delta)

    def _delta(self, delta: Mapping[str, Any]) -> None:
        said = False
        for name, value in delta.items():
            if name == "tool_calls" and isinstance(value, list):
                _merge_calls(self._message.setdefault("tool_calls", []), value)
                said = True
            elif name != "role" and isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
                said = said or bool(value)
            elif value is not None:
                self._message[name] = value
        self._spent.chunks += said
        if self._heard is not None:
            self._heard(delta)


def _chunk(payload: bytes) -> Mapping[str, Any]:
    try:
        chunk = msgspec.json.decode(payload)
    except UNREADABLE as error:
        raise EngineError("protocol", "the engine's stream is not JSON") from error
    if not isinstance(chunk, dict):
        raise EngineError("protocol", "the engine's stream is not made of objects")
    if failed := chunk.get("error"):
        message = failed.get("message") if isinstance(failed, dict) else failed
        raise EngineError("broken", f"the engine broke off: {message}")
    return chunk


def _extend(all_: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, list):
            all_[name] = [*(all_.get(name) or []), *value]
        else:
            all_.setdefault(name, value)


def _merge_calls(calls: list[dict[str, Any]], pieces: list[Any]) -> None:
    """Add pieces of tool calls to those with the same index; texts are joined."""
    for piece in pieces:
        if not isinstance(piece, dict):
            continue
        index = piece.get("index", len(calls))
        call = next((call for call in calls if call.get("index") == index), None)
        if call is None:
            calls.append({**piece, "function": dict(piece.get("function") or {})})
            continue
        function = call["function"]
        for name, value in (piece.get("function") or {}).items():
            old = function.get(name)
            joined = isinstance(old, str) and isinstance(value, str)
            function[name] = old + value if joined else value
