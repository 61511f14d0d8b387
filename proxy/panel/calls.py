"""One call of a panel: what an engine said, or why it said nothing."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from ..base.outcome import CompletedCall, FailedCall, Spent
from ..engines.collect import Collector, Heard
from ..engines.engine import CHAT, Body, Engine
from ..engines.errors import EngineError
from ..engines.limits import Retries

Result: TypeAlias = CompletedCall | FailedCall

Pieces: TypeAlias = Callable[[int | None], Sequence[bytes]]
"""Makes a call's body for a level of `stream_options`; `None`: it is not streamed."""


async def complete(
    engine: Engine,
    pieces: Pieces,
    streamed: bool,
    headers: bytes,
    retries: Retries,
    spent: Spent,
    accepted: Callable[[], None] | None = None,
    heard: Heard | None = None,
) -> Result:
    """Make one call, and again without the `stream_options` that the engine refuses.

    What goes wrong with it comes back as a `FailedCall`. `accepted` is called when the engine takes
    it, `heard` with every choice of its stream.

    Raises:
        TooMany: the key that asks has no slot and no place in its queue.
    """
    level = engine.stream_options.level if streamed else None
    try:
        while True:
            body = partial(pieces, level)
            sent = engine, body, level, headers, retries, spent, accepted, heard
            result = await _complete(*sent)
            level = engine.stream_options.less(level, _refusal(result), retries)
            if level is None:
                return result
    finally:
        engine.stream_options.leave(retries)


def _refusal(result: Result) -> EngineError | None:
    cause = result.cause if isinstance(result, FailedCall) else None
    return cause if isinstance(cause, EngineError) else None


async def _complete(
    engine: Engine,
    body: Body,
    level: int | None,
    headers: bytes,
    retries: Retries,
    spent: Spent,
    accepted: Callable[[], None] | None,
    heard: Heard | None,
) -> Result:
    try:
        async with engine.post(CHAT, body, headers, retries) as response:
            if level is not None:
                engine.stream_options.accept(level)
            if accepted is not None:
                accepted()
            if level is not None and await response.is_events():
                completion = await Collector(spent, heard).read(response)
            else:
                completion = engine.completion(await response.read())
                spent.take(completion.get("usage"))
    except EngineError as error:
        return failed(engine, error)
    return _completed(completion)


def failed(engine: Engine, error: EngineError) -> FailedCall:
    """Return an engine's error as data."""
    return FailedCall(error.kind, engine.quote(error.detail), error.status, error)


def _completed(body: Mapping[str, Any]) -> Result:
    choice = body["choices"][0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return FailedCall("protocol", "a choice without a message")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(each, dict) for each in calls):
        return FailedCall("protocol", "tool calls of the wrong shape")
    if choice.get("finish_reason") == "abort":
        return FailedCall("aborted", "the engine aborted the call")
    return CompletedCall(choice, body, message)
