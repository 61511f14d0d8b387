"""The Starlette application: what the proxy serves, and with what.

What relays bytes is raw ASGI and found by a table; everything else is ordinary Starlette.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from its import prompts
from its.urls import is_loopback

from ..base import asgi
from ..base.errors import ApiError, Forbidden, MethodNotAllowed, NotFound
from ..base.record import record_of
from ..config.settings import Member, Panel, Settings
from ..edge.auth import Auth
from ..edge.middleware import Edge
from ..engines.engine import CHAT
from ..state import Generation, Service
from ..telemetry import tracing
from ..telemetry.metrics import CONTENT_TYPE
from ..wire import request as wire
from ..wire.render import describe
from .chat import chat
from .openapi import document
from .passthrough import ENDPOINTS, passthrough

RELAYED: Mapping[str, ASGIApp] = {CHAT: chat, **dict.fromkeys(ENDPOINTS, passthrough)}


def create_app(
    settings: Settings, service: Service | None = None, *, insecure: bool = False
) -> ASGIApp:
    """Return the proxy for `settings`; engines are opened, or started, with the application.

    With `insecure` and without keys, it is served under any host name.
    """
    service = service or Service(settings)
    # Around Starlette, not inside: its own outer layers cost what half a relay costs.
    auth = Auth(Relay(_starlette(service)), settings.cors_origins, insecure=insecure)
    app: ASGIApp = Edge(auth, service)
    return Cors(app, service, settings.cors_origins) if settings.cors_origins else app


class Cors(CORSMiddleware):
    """Tells browsers which pages may read answers.

    It is outermost, so that the pages can read errors too. Without keys it leaves the preflight of
    a page that may not ask to `Auth`, which refuses that page's other requests as well.
    """

    def __init__(self, app: ASGIApp, service: Service, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["x-request-id"],
        )
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        keyless = not self._service.now.settings.clients
        if keyless and origin is not None and not self.is_allowed_origin(origin):
            return await self.app(scope, receive, send)
        await super().__call__(scope, receive, send)


def _starlette(service: Service) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tracing.start()
        await service.open()
        try:
            yield
        finally:
            await service.close()
            tracing.stop()

    return Starlette(
        routes=[
            Route("/v1/models", models),
            Route("/v1/models/{model:path}", model),
            Route("/v1/input_time/compose", compose, methods=["POST"]),
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
        ],
        exception_handlers={HTTPException: _http_error, ApiError: _api_error},
        lifespan=lifespan,
    )


class Relay:
    """Takes the relayed paths before Starlette's router, which costs as much as a whole relay."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = RELAYED.get(scope.get("path", ""))
        if endpoint is None or scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['method'][:20]} is not allowed on {scope['path']}")
        await endpoint(scope, receive, send)


def _generation(request: Request) -> Generation:
    generation: Generation = request.state.generation
    return generation


async def health(request: Request) -> Response:
    """The process lives; says nothing else."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Every engine answers; which ones, a key is told of the engines behind its models.

    Without keys, this machine is told of all engines.
    """
    faults = await _generation(request).readiness.faults()
    wrong = {name: fault for name, fault in faults.items() if fault is not None}
    told: dict[str, Any] = {"status": "not ready" if wrong else "ready"}
    shown = _shown_engines(request)
    if shown is not None:
        told["engines"] = {name: name not in wrong for name in faults if name in shown}
        if any(name in shown for name in wrong):
            told["faults"] = {name: fault for name, fault in wrong.items() if name in shown}
    return JSONResponse(told, 503 if wrong else 200)


def _shown_engines(request: Request) -> Collection[str] | None:
    """Return the engines that the caller may know of; `None`: not even how many there are."""
    settings, client = _generation(request).settings, record_of(request.scope).client
    if client is not None:
        return settings.engines_behind(client)
    host = request.client.host if request.client else ""
    local = not settings.clients and is_loopback(host.removeprefix("::ffff:"))
    return settings.engines if local else None


async def metrics(request: Request) -> Response:
    """Show the counts, in Prometheus' text format; they name every model and engine."""
    client = record_of(request.scope).client
    if client is not None and not client.metrics:
        raise Forbidden(
            f"The key {client.name!r} may not read /metrics. Its operator can set"
            f" keys.{client.name}.metrics = true.",
            code="metrics_not_allowed",
        )
    counts = _generation(request).metrics
    counts.tasks.set(len(asyncio.all_tasks()))
    text = await asyncio.to_thread(counts.render)
    return Response(text, media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """Describe the endpoints."""
    return JSONResponse(document(_generation(request).settings))


async def models(request: Request) -> Response:
    """List the models that the key may use, with how they are asked."""
    generation, client = _generation(request), record_of(request.scope).client
    names = [*generation.settings.members, *generation.settings.panels]
    shown = [name for name in names if client is None or client.may_use(name)]
    cards = [_card(name, generation, generation.find_model(name, client)) for name in shown]
    return JSONResponse({"object": "list", "data": cards})


async def model(request: Request) -> Response:
    """Describe one model."""
    name, generation = request.path_params["model"], _generation(request)
    target = generation.find_model(name, record_of(request.scope).client)
    return JSONResponse(_card(name, generation, target))


async def compose(request: Request) -> Response:
    """Show what the engines would be asked, and ask none."""
    generation, record = _generation(request), record_of(request.scope)
    limits = generation.settings.limits
    asked = wire.parse(await asgi.read_body(request.receive, record, limits), limits)
    target = generation.find_model(asked.model, record.client)
    record.model = asked.model
    if isinstance(target, Member):
        wire.check_for_member(asked)
        return JSONResponse(await _composed(generation, target, asked))
    wire.check_for_panel(asked, target)
    members = [generation.settings.members[name] for name in target.members]
    composed = [await _composed(generation, member, asked) for member in members]
    return JSONResponse({"model": asked.model, "members": composed})


def _card(name: str, generation: Generation, target: Member | Panel) -> dict[str, Any]:
    card = {"id": name, "object": "model", "created": 0, "owned_by": "input-time-scaling"}
    return {**card, "input_time": _describe(generation, target)}


def _describe(generation: Generation, target: Member | Panel) -> dict[str, Any]:
    if isinstance(target, Panel):
        members = [_describe(generation, generation.settings.members[m]) for m in target.members]
        return {
            "kind": "panel",
            "method": target.method,
            "options": msgspec.to_builtins(target.case.options),
            "samples": target.samples,
            "most_calls": target.most_calls,
            "allow_options": target.allow_options,
            "members": members,
        }
    return {
        "kind": "member",
        "member": target.name,
        "strategy": target.strategy,
        "placement": target.layout.placement,
        "co_design": target.own_co_design.value,
        "thinking": target.thinking,
        "train_strategy": target.manifest.train.strategy if target.manifest else None,
        "manifest": msgspec.to_builtins(target.manifest) if target.manifest else None,
    }


async def _composed(
    generation: Generation, member: Member, request: wire.ChatRequest
) -> dict[str, Any]:
    planned = generation.contexts.plan(member, request.question, request.override)
    planned = wire.check_guarded(request, planned)
    asked = await generation.contexts.complete(planned, request.question)
    messages = prompts.compose(request.messages, asked.context, asked.layout)
    return {"model": member.name, "messages": messages, "input_time": describe(asked)}


async def _http_error(request: Request, error: Exception) -> Response:
    """Put Starlette's own refusals (no such path, wrong method) into OpenAI's shape."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    if error.status_code == 405:
        allow = (error.headers or {}).get("allow", "")
        refusal: ApiError = MethodNotAllowed(
            f"{method[:20]} is not allowed on {path[:100]}", allow=allow
        )
    else:
        refusal = NotFound(f"there is nothing at {path[:100]}", code="not_found")
    return await _api_error(request, refusal)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    record_of(request.scope).error = error.reason  # for the log; `Edge` sees a response only
    return Response(
        error.encode(), error.http_status, dict(error.headers), media_type="application/json"
    )
