"""A stream relayed as it arrives: bytes, unparsed and unbuffered."""

import time
from collections.abc import Mapping
from typing import Any

from . import asgi, render, stream
from .asked import Asked
from .engines import Body, Engine, EngineError
from .http1 import HttpError
from .limits import Retries
from .record import Record
from .tracing import outgoing

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
    asked: Asked | None,
    input_time: Mapping[str, Any] | None,
    kind: stream.Kind = stream.CHAT,
) -> None:
    """Send `body` to `engine` and its stream to the client; `input_time` goes before it.

    Raises:
        EngineError: before the stream began. Later, what went wrong is an event at its end.
    """
    sent = time.perf_counter()
    async with engine.post(path, body, outgoing(record), retries) as response:
        record.engine_seconds = time.perf_counter() - sent
        if response.content_type != b"text/event-stream":
            raise EngineError("protocol", f"engine {engine.name!r} did not stream")
        own = render.headers(asked, record) if asked else []
        await asgi.start(record.send, 200, [*SSE, *own])
        watch = stream.Watch(kind.ends)
        introduction = stream.Introduction(input_time, kind) if input_time is not None else None
        end = b""
        try:
            async for chunk in response.chunks():
                watch.see(chunk)
                if introduction is not None:
                    introduced = introduction.take(chunk)
                    if introduced is None:
                        continue
                    introduction, chunk = None, introduced
                await record.send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not watch.ended:
                cut = EngineError("broken", f"engine {engine.name!r} cut its stream")
                end = _broken(engine, cut)
        except HttpError as error:
            if not watch.ended:  # what breaks behind the end is nobody's loss
                end = _broken(engine, engine.translate(error))
        rest = introduction.rest if introduction is not None else b""
        await asgi.write(record.send, rest + (watch.gap + end if end else b""), more=False)


def _broken(engine: Engine, error: EngineError) -> bytes:
    engine.count(error)
    return stream.error_event(error.for_client(paid=True))
