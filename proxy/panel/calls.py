"""One call of a panel: what an engine said, or why it said nothing."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from its.types import Call, Completion, Failure

from ..base.outcome import Spent
from ..engines.collect import Collector
from ..engines.engine import CHAT, Body, Engine
from ..engines.errors import EngineError
from ..engines.limits import Retries
from .live import Live

Result: TypeAlias = Completion | Failure


Pieces: TypeAlias = Callable[[int | None], Sequence[bytes]]
"""Makes a call's body for a level of `stream_options`; `None`: it is not streamed."""


async def complete(
    call: Call,
    engine: Engine,
    pieces: Pieces,
    level: int | None,
    headers: bytes,
    retries: Retries,
    spent: Spent,
    live: Live | None,
) -> Result:
    """Make one call, and again without the `stream_options` that the engine refuses.

    What goes wrong with it comes back as a `Failure`.

    Raises:
        TooMany: the key that asks has no slot and no place in its queue.
    """
    try:
        while True:
            body = partial(pieces, level)
            result = await _complete(call, engine, body, level, headers, retries, spent, live)
            level = engine.stream_options.less(level, _refusal(result), retries)
            if level is None:
                return result
    finally:
        engine.stream_options.leave(retries)


def _refusal(result: Result) -> EngineError | None:
    cause = result.cause if isinstance(result, Failure) else None
    return cause if isinstance(cause, EngineError) else None


async def _complete(
    call: Call,
    engine: Engine,
    body: Body,
    level: int | None,
    headers: bytes,
    retries: Retries,
    spent: Spent,
    live: Live | None,
) -> Result:
    started = time.monotonic()
    try:
        async with engine.post(CHAT, body, headers, retries) as response:
            if level is not None:
                engine.stream_options.accept(level)
            if live is not None:
                live.answer()
            if level is not None and await response.is_events():
                heard = live.hear if live and live.leader == call else None
                completion = await Collector(spent, heard).read(response)
            else:
                completion = engine.completion(await response.read())
                usage = completion.get("usage")
                spent.usage = usage if isinstance(usage, dict) else {}
    except EngineError as error:
        seconds, detail = time.monotonic() - started, engine.quote(error.detail)
        return Failure(call, error.kind, detail, error.status, error, seconds)
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
