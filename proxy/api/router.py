"""From a relayed path to its endpoint, and from a model name to its member or panel."""

from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from ..base import asgi
from ..base.errors import BadRequest
from ..base.record import record_of
from ..config.settings import Member, Panel
from ..doors.kept import Kept
from ..telemetry.tracing import request_span
from ..wire.request import ChatRequest
from . import chat, doors, member
from .admission import admit
from .doors import DOORS, Door
from .endpoints import ENDPOINTS, Endpoint


class RelayRouter:
    """Takes the relayed paths before Starlette's router, which costs as much as a whole relay."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._kept = Kept()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        endpoint = ENDPOINTS.get(path)
        door = DOORS.get(path) if endpoint is None else None
        if (endpoint is None and door is None) or scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["method"] != "POST":
            raise asgi.method_not_allowed(scope["method"], scope["path"])
        if endpoint is not None:
            await _relayed(endpoint, scope, receive)
        elif door is not None:
            await _through(door, self._kept, scope, receive)


async def _relayed(endpoint: Endpoint, scope: Scope, receive: Receive) -> None:
    """Serve one of `ENDPOINTS`: raw ASGI, because it relays bytes."""
    request, target = await admit(scope, receive, endpoint.parse)
    record, generation = record_of(scope), scope["state"]["generation"]
    if isinstance(target, Panel) and endpoint.kind not in ("chat", "completions"):
        raise BadRequest(
            f"The panel {request.model!r} answers chats, responses, messages and completions only."
            " Ask a single model; /v1/models lists them.",
            param="model",
        )
    record.streamed = request.stream and endpoint.stream is not None
    watcher = asgi.watch(receive, record)
    try:
        with request_span(record, endpoint.path):
            if isinstance(target, Member):
                await member.serve(endpoint, target, request, generation, record)
            elif isinstance(request, ChatRequest):
                await chat.serve(target, request, generation, record)
            else:
                asked = doors.completion(request, generation.settings.limits)
                await doors.serve(asked, target, generation, record)
    finally:
        watcher.cancel()


async def _through(door: Door, kept: Kept, scope: Scope, receive: Receive) -> None:
    """Serve one of `DOORS`."""
    record, generation = record_of(scope), scope["state"]["generation"]
    try:
        parse = partial(doors.as_chat, door, kept, record)
        request, target = await admit(scope, receive, parse)
        record.streamed = request.stream and door.endpoint.stream is not None
        watcher = asgi.watch(receive, record)
        try:
            with request_span(record, door.path):
                await doors.serve(request, target, generation, record, door.endpoint)
        finally:
            watcher.cancel()
    except BadRequest as error:
        raise doors.named(error, door) from error
