"""One call of a panel: what an engine said, or why it said nothing."""

import time
from typing import Any, TypeAlias

from its.types import Call, Completion, Failure

from .collect import Collector
from .engines import CHAT, Body, Engine, EngineError
from .limits import Retries
from .live import Live
from .outcome import Spent

Result: TypeAlias = Completion | Failure


async def complete(
    call: Call,
    engine: Engine,
    body: Body,
    headers: bytes,
    retries: Retries,
    spent: Spent,
    live: Live | None,
) -> Result:
    """Make one call. What goes wrong with it comes back as a `Failure`.

    Raises:
        TooMany: the key that asks has no slot and no place in its queue.
    """
    started = time.monotonic()
    try:
        async with engine.post(CHAT, body, headers, retries) as response:
            if live is not None:
                live.answer()
            if response.content_type == b"text/event-stream":
                collector = Collector(spent, live.hear if live and live.leader == call else None)
                async for chunk in response.chunks():
                    collector.feed(chunk)
                completion = collector.completion()
            else:
                completion = engine.completion(await response.read())
                usage = completion.get("usage")
                spent.usage = usage if isinstance(usage, dict) else {}
    except EngineError as error:
        seconds, detail = time.monotonic() - started, engine.quote(error.detail)
        return Failure(call, error.kind, detail, error.status, error.retry_after, seconds)
    return _completion(call, completion, time.monotonic() - started)


def _completion(call: Call, body: dict[str, Any], seconds: float) -> Completion | Failure:
    choice = body["choices"][0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return Failure(call, "protocol", "a choice without a message", seconds=seconds)
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(each, dict) for each in calls):
        return Failure(call, "protocol", "tool calls of the wrong shape", seconds=seconds)
    if choice.get("finish_reason") == "abort":
        return Failure(call, "aborted", "the engine aborted the call", seconds=seconds)
    if not (message.get("content") or message.get("tool_calls")):
        return Failure(call, "empty", "a message without content", seconds=seconds)
    return Completion(call, choice, body, seconds)
