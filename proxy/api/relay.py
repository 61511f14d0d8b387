"""A stream relayed as it arrives: bytes, unparsed and unbuffered."""

from collections.abc import Callable, Mapping
from typing import Any

from ..base import asgi
from ..base.prompt import MemberPrompt
from ..base.record import Record
from ..engines import refusals
from ..engines.engine import MOST_REFUSAL, Body, Engine, EngineError
from ..engines.http1 import HttpError, Response
from ..engines.limits import Retries
from ..telemetry.tracing import outgoing
from ..wire import render, stream, watch

SSE = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the stream back
]


async def relay(
    engine: Engine,
    path: str,
    body: Body,
    record: Record,
    retries: Retries,
    asked: MemberPrompt | None,
    input_time: Mapping[str, Any] | None,
    kind: watch.StreamKind = watch.CHAT,
    choices: int = 1,
    heard: Callable[[bytes], None] | None = None,
) -> None:
    """Send `body` to `engine` and its stream to the client; `input_time` goes before it.

    `choices` is how many answers the stream carries. `heard` is told every piece.

    Raises:
        EngineError: before the stream began. Later, what went wrong is an event at its end.
    """
    headers = outgoing(record, engine.forward_headers)
    with record.asking:
        async with engine.post(path, body, headers, retries) as response:
            if not await response.is_events():
                raise await _no_stream(engine, response)
            own = render.headers(asked, record) if asked else []
            await asgi.start(record.send, 200, [*SSE, *response.rate_limits, *own])
            if b"x-input-time-method" in response.headers:
                input_time = None  # the engine is a proxy too: its panel tells its own at the end
            introduction = watch.Introduction(input_time, kind) if input_time is not None else None
            seen = watch.Watch(kind, choices)
            end = await _pass_on(engine, response, record, seen, introduction, heard)
    await asgi.write(record.send, end, more=False)


async def _pass_on(
    engine: Engine,
    response: Response,
    record: Record,
    seen: watch.Watch,
    introduction: watch.Introduction | None,
    heard: Callable[[bytes], None] | None,
) -> bytes:
    """Send the stream's pieces as they come; return what is still to be sent at its end."""
    end = b""
    try:
        async for chunk in response.chunks():
            seen.see(chunk)
            if heard is not None:
                heard(chunk)
            shown = chunk if introduction is None else introduction.take(chunk)
            if shown is not None:
                await record.send({"type": "http.response.body", "body": shown, "more_body": True})
        if not seen.ended:
            cut = EngineError("broken", f"engine {engine.name!r} cut its stream")
            end = _broken(engine, record, seen, cut)
    except HttpError as error:
        if not seen.ended:  # what breaks behind the end is nobody's loss
            end = _broken(engine, record, seen, engine.translate(error))
    return end if introduction is None else introduction.rest + end


def _broken(engine: Engine, record: Record, seen: watch.Watch, error: EngineError) -> bytes:
    """Return what ends a broken stream: an error event, unless the engine has sent one itself."""
    engine.count(error)
    told = error.for_client(paid=True)
    record.error = told.reason
    return b"" if seen.failed else seen.gap + stream.error_event(told)


async def _no_stream(engine: Engine, response: Response) -> EngineError:
    """Return what a 200 means that is no stream: some engines put an error into one."""
    raw = await response.read(MOST_REFUSAL)
    said = f": {engine.quote(refusals.text(raw))}" if refusals.is_error(raw) else ""
    return EngineError("protocol", f"engine {engine.name!r} did not stream{said}")
