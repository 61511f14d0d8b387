"""A stream relayed as it arrives: bytes, unparsed and unbuffered."""

from ..base import asgi
from ..base.prompt import MemberPrompt
from ..base.record import Record
from ..engines import refusals
from ..engines.engine import MOST_REFUSAL, Engine, EngineCall
from ..engines.errors import EngineError
from ..engines.response import HttpError, Response
from ..wire import render, stream, watch

SSE = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the stream back
]


async def relay(
    engine: Engine,
    call: EngineCall,
    record: Record,
    prompt: MemberPrompt | None,
    watched: watch.Watch,
    introduction: watch.Introduction | None,
) -> None:
    """Make `call` and send its stream to the client.

    Raises:
        EngineError: before the stream began. Later, what went wrong is an event at its end.
    """
    with record.asking:
        async with call as response:
            if not await response.is_events():
                raise await _no_stream(engine, response)
            own = render.headers(prompt, record) if prompt else []
            await asgi.start(record.send, 200, [*SSE, *response.rate_limits, *own])
            if b"x-input-time-method" in response.headers:
                introduction = None  # the engine is a proxy too: its panel tells its own at the end
            end = await _pass_on(engine, response, record, watched, introduction)
    await asgi.write(record.send, end, more=False)


async def _pass_on(
    engine: Engine,
    response: Response,
    record: Record,
    watched: watch.Watch,
    introduction: watch.Introduction | None,
) -> bytes:
    """Send the stream's pieces as they come; return what is still to be sent at its end."""
    end = b""
    try:
        async for chunk in response.chunks():
            watched.see(chunk)
            shown = chunk if introduction is None else introduction.take(chunk)
            if shown is not None:
                await record.send({"type": "http.response.body", "body": shown, "more_body": True})
        if not watched.ended:
            cut = EngineError("broken", f"engine {engine.name!r} cut its stream")
            end = _broken(engine, record, watched, cut)
    except HttpError as error:
        if not watched.ended:  # what breaks behind the end is nobody's loss
            end = _broken(engine, record, watched, engine.translate(error))
    return end if introduction is None else introduction.rest + end


def _broken(engine: Engine, record: Record, watched: watch.Watch, error: EngineError) -> bytes:
    """Return what ends a broken stream: an error event, unless the engine has sent one itself."""
    engine.count(error)
    told = error.for_client(paid=True)
    record.error = told.reason
    return b"" if watched.failed else watched.gap + stream.error_event(told)


async def _no_stream(engine: Engine, response: Response) -> EngineError:
    """Return what a 200 means that is no stream: some engines put an error into one."""
    raw = await response.read(MOST_REFUSAL)
    refusal = refusals.read(raw)
    said = f": {engine.quote(refusal.text)}" if refusal.is_error else ""
    return EngineError("protocol", f"engine {engine.name!r} did not stream{said}")
