"""From a relayed path to its endpoint, and from a model name to its member or panel."""

from starlette.types import ASGIApp, Receive, Scope, Send

from ..base import asgi
from ..base.errors import BadRequest
from ..base.record import record_of
from ..config.settings import Member, Panel
from ..telemetry.tracing import request_span
from ..wire.request import ChatRequest
from . import chat, member
from .admission import admit
from .endpoints import ENDPOINTS, Endpoint


class RelayRouter:
    """Takes the relayed paths before Starlette's router, which costs as much as a whole relay."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = ENDPOINTS.get(scope.get("path", ""))
        if endpoint is None or scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["method"] != "POST":
            raise asgi.method_not_allowed(scope["method"], scope["path"])
        await _relayed(endpoint, scope, receive)


async def _relayed(endpoint: Endpoint, scope: Scope, receive: Receive) -> None:
    """Serve one of `ENDPOINTS`: raw ASGI, because it relays bytes."""
    request, target = await admit(scope, receive, endpoint.parse)
    record, generation = record_of(scope), scope["state"]["generation"]
    if isinstance(target, Panel) and endpoint.kind != "chat":
        raise BadRequest(
            f"The panel {request.model!r} answers chat completions only. Ask a single model;"
            " /v1/models lists them.",
            param="model",
        )
    record.streamed = request.stream and endpoint.stream is not None
    watcher = asgi.watch(receive, record)
    try:
        with request_span(record, endpoint.path):
            if isinstance(target, Member):
                await member.serve(endpoint, target, request, generation, record)
            else:
                assert isinstance(request, ChatRequest), "what the chat endpoint parses"
                await chat.serve(target, request, generation, record)
    finally:
        watcher.cancel()
