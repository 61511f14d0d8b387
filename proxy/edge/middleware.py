"""The outermost layer: an id and a time limit for every request, every error in the shape of
its API, one line in the log, and the counting.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from ..base import asgi
from ..base.errors import NO_RETRY, ApiError
from ..base.record import Record
from ..state import Service
from ..telemetry import logs
from ..wire import envelopes, stream

_LOG = logging.getLogger("its.proxy")
CLIENT_LEFT = 499
"""nginx's status for a client that did not wait; it is counted and logged, nobody receives it."""

FAREWELL_SECONDS = 1.0
"""How long a client has to take the event that ends its stream."""

QUIET_PATHS = frozenset({"/health", "/ready", "/metrics"})


class Edge:
    """Pure ASGI: Starlette's own middleware base doubles the CPU and hides disconnects."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        record = Record(scope["headers"], send)
        generation = self.service.enter()
        state = scope.setdefault("state", {})
        state["record"], state["generation"] = record, generation
        seconds = generation.settings.limits.seconds
        timer = asyncio.get_running_loop().call_later(seconds, record.end, "expired")
        try:
            await self.app(scope, receive, record.send)
        except asyncio.CancelledError:
            record.cause = record.cause or "stopping"
            record.task.uncancel()
            await _end(record, scope["path"])
        except asgi.Disconnected:
            record.cause = "left"
        except ApiError as error:
            await _refuse(record, error, scope["path"])
        except Exception:
            # The text of an unforeseen error may hold anything: the client gets the id only.
            request_id = record.request_id.decode()
            _LOG.exception("request %s failed", request_id)
            told = f"internal error; the log has it under request id {request_id}"
            await _refuse(record, ApiError(told), scope["path"])
        finally:
            timer.cancel()
            self.service.leave(generation)
            self._note(scope, record)

    def _note(self, scope: Scope, record: Record) -> None:
        path = scope["path"]
        if record.quiet or path in QUIET_PATHS:
            return
        seconds = record.seconds
        status = CLIENT_LEFT if record.cause == "left" else record.status
        if record.told is not None:
            self.service.verdicts.end(record, record.told, status, seconds)
        first = record.first_byte if record.streamed else None
        self.service.metrics.request(record.model, status, seconds, first)
        logs.request(scope["method"], path, status, seconds, record)


_CAUSES: Mapping[str, ApiError] = {
    "stalled": ApiError(
        "the rest of the body did not come in time", 408, code="timeout", headers=NO_RETRY
    ),
    "expired": ApiError(
        "the request was not done in time (server.max_seconds)", 504, code="timeout",
        headers=NO_RETRY,
    ),
    "stopping": ApiError("the proxy is stopping", 503, code="stopping"),
}  # fmt: skip


async def _end(record: Record, path: str) -> None:
    error = _CAUSES.get(record.cause)
    if error is None:  # the client left
        return
    if not (record.streamed and record.status):
        await _refuse(record, error, path)
        return
    # Line ends first: the stream may have stopped within an event. Who reads nothing gets nothing.
    with suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL_SECONDS):
            told = b"\n\n" + stream.error_event(error)
            await asgi.write(record.send, told, more=False)


async def _refuse(record: Record, error: ApiError, path: str) -> None:
    """Answer with `error`; once a response has begun, only cutting it off is honest."""
    record.error = error.reason
    if record.status:
        raise error
    headers = asgi.raw(error.headers)
    body = envelopes.encode(error, path, record.request_id)
    await asgi.respond(record.send, body, headers, error.status)
