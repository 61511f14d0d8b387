"""Server-sent events that the proxy writes: a panel's verdict, and errors.

A stream that ends cleanly without `finish_reason` is taken as complete by every client, so a
broken one ends with an `event: error` and no `[DONE]`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..base.errors import ApiError

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


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


def role_event(head: Mapping[str, Any]) -> bytes:
    """Return a panel's first chunk. The role is sent once: clients join repeated ones."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    return event({**head, "choices": [choice]})


def choice_event(head: Mapping[str, Any], choice: Mapping[str, Any]) -> bytes:
    """Return a piece of what is shown before the verdict."""
    return event({**head, "choices": [choice]})


REASONING = ("reasoning", "reasoning_content", "reasoning_details")
"""What engines call the text that a model thinks in: vLLM the first, SGLang the second."""

CALLS = ("tool_calls", "function_call")


def verdict_events(
    head: Mapping[str, Any],
    body: Mapping[str, Any],
    usage: bool,
    *,
    reasoned: bool = False,
    shown: bool = False,
) -> bytes:
    """Return the rest of a panel's stream: the winner's message, `input_time`, usage, the end.

    Reasoning, content and tool calls come in chunks of their own: many clients look at one of
    them in a chunk, and would miss the others. `reasoned` says that the leader's reasoning was
    shown, which the winner's must not follow; `shown`, that the whole message was.
    """
    choice = body["choices"][0]
    events = [] if shown else _message_events(head, choice, reasoned)
    end = {**choice, "index": 0, "delta": {}}
    for name in ("message", "logprobs"):
        end.pop(name, None)
    events.append(event({**head, "choices": [end], "input_time": body["input_time"]}))
    if usage:
        events.append(event({**head, "choices": [], "usage": body["usage"]}))
    return b"".join([*events, DONE])


def _message_events(
    head: Mapping[str, Any], choice: Mapping[str, Any], reasoned: bool
) -> list[bytes]:
    said = {key: value for key, value in choice["message"].items() if key != "role"}
    for index, call in enumerate(said.get("tool_calls") or []):
        call.setdefault("index", index)  # a delta's tool calls say which they continue
    reasoning = {key: said.pop(key) for key in REASONING if key in said}
    calls = {key: said.pop(key) for key in CALLS if key in said}
    deltas = [] if reasoned or not any(reasoning.values()) else [_delta(reasoning)]
    if any(said.values()) or "logprobs" in choice or not any(calls.values()):
        deltas.append(_delta(said))
    if "logprobs" in choice:
        deltas[-1]["logprobs"] = choice["logprobs"]
    if any(calls.values()):
        deltas.append(_delta(calls))
    return [event({**head, "choices": [delta]}) for delta in deltas]


def _delta(delta: Mapping[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": None}


def panel_head(request_id: str, model: str, created: int) -> dict[str, Any]:
    """Return the fields that every chunk of a panel's stream shares."""
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
    }
