"""What tests of the doors share: requests of each API, what engines say, events."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.scripted import Body, Script, chunk, completion, usage

RESPONSES, MESSAGES, COMPLETIONS = "/v1/responses", "/v1/messages", "/v1/completions"

QUESTION = "How many are 3 and 4?"
ASKED: dict[str, dict[str, Any]] = {
    RESPONSES: {"input": QUESTION},
    MESSAGES: {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 50},
    COMPLETIONS: {"prompt": QUESTION},
}
"""A request of each API; panels answer all of them."""

ADD = {
    "type": "object", "required": ["a", "b"],
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
}  # fmt: skip

CALLS = [
    {"id": "call_1", "type": "function",
     "function": {"name": "add", "arguments": '{"a": 3, "b": 4}'}},
    {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
]  # fmt: skip


def replies(*deltas: Body, finish: str = "stop", **choice: Any) -> Script:
    """Say `deltas`, whole or as a stream of one chunk each."""

    async def events() -> AsyncIterator[bytes]:
        for delta in deltas:
            yield chunk(delta=delta)
        yield chunk(finish_reason=finish, **choice)
        yield chunk(usage=usage(10, len(deltas)))
        yield b"data: [DONE]\n\n"

    def script(body: Body) -> Response:
        if body.get("stream"):
            return StreamingResponse(events(), media_type="text/event-stream")
        message: Body = {"role": "assistant", "content": None}
        for delta in deltas:
            for name, value in delta.items():
                if isinstance(value, str):
                    message[name] = (message.get(name) or "") + value
                else:
                    message[name] = [*message.get(name, []), *value]
        return JSONResponse(completion(None, message=message, finish_reason=finish, **choice))

    return script


def calling(*calls: Body) -> Script:
    """Call tools, each in three chunks: its name, and two halves of its arguments."""
    deltas = []
    for index, call in enumerate(calls):
        named = {**call["function"], "arguments": ""}
        deltas.append({"tool_calls": [{**call, "index": index, "function": named}]})
        said = call["function"]["arguments"]
        for half in (said[: len(said) // 2], said[len(said) // 2 :]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": half}}]})

    def script(body: Body) -> Response:
        if body.get("stream"):
            return replies(*deltas, finish="tool_calls")(body)
        message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
        return JSONResponse(completion(None, message=message, finish_reason="tool_calls"))

    return script


class Held:
    """An engine that says one word, and the next one once the test releases it."""

    def __init__(self, first: Body, second: Body) -> None:
        self._first, self._second = first, second
        self._loop: asyncio.AbstractEventLoop | None = None
        self._release = asyncio.Event()

    def __call__(self, body: Body) -> Response:
        self._loop = asyncio.get_running_loop()
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[bytes]:
        yield chunk(delta=self._first)
        await self._release.wait()
        yield chunk(delta=self._second)
        yield chunk(finish_reason="stop")
        yield b"data: [DONE]\n\n"

    def release(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._release.set)


def events_of(text: str) -> list[tuple[str, Body]]:
    """Return the named events of a stream, without comments."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            assert lines[0].startswith("event: "), block
            assert lines[1].startswith("data: "), block
            found.append((lines[0][7:], json.loads(lines[1][6:])))
    return found
