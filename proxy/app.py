"""The Starlette application: what the proxy serves, and with what.

What relays bytes is raw ASGI and found by a table; everything else is ordinary Starlette.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from its import prompts

from . import asgi, tracing, wire
from .auth import Auth, hold_to_model, may_use
from .chat import chat
from .edge import Edge
from .engines import CHAT
from .errors import ApiError, MethodNotAllowed, NotFound
from .metrics import CONTENT_TYPE
from .openapi import document
from .passthrough import ENDPOINTS, passthrough
from .record import record_of
from .render import describe
from .service import Generation, Service
from .settings import Member, Panel, Settings

RELAYED: Mapping[str, ASGIApp] = {CHAT: chat, **dict.fromkeys(ENDPOINTS, passthrough)}


def create_app(settings: Settings, service: Service | None = None) -> ASGIApp:
    """Return the proxy for `settings`; engines are opened, or started, with the application."""
    service = service or Service(settings)
    # Around Starlette, not inside: its own outer layers cost what half a relay costs.
    app: ASGIApp = Edge(Auth(Relay(_starlette(service))), service)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["x-request-id"],
        )
    return app


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
            raise MethodNotAllowed(f"{scope['method']} is not allowed on {scope['path']}")
        await endpoint(scope, receive, send)


def _generation(request: Request) -> Generation:
    generation: Generation = request.state.generation
    return generation


async def health(request: Request) -> Response:
    """The process lives; says nothing else."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Every engine answers; which ones, only a key is told."""
    states = await _generation(request).look.states()
    all_ready = all(states.values())
    told: dict[str, Any] = {"status": "ready" if all_ready else "not ready"}
    if record_of(request.scope).client is not None:
        told["engines"] = states
    return JSONResponse(told, 200 if all_ready else 503)


async def metrics(request: Request) -> Response:
    """Show the counts, in Prometheus' text format."""
    counts = _generation(request).metrics
    counts.tasks.set(len(asyncio.all_tasks()))
    text = await asyncio.to_thread(counts.render)
    return Response(text, media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """Describe the endpoints."""
    return JSONResponse(document(_generation(request).settings))


async def models(request: Request) -> Response:
    """List the models that the key may use, with how they are asked."""
    settings, record = _generation(request).settings, record_of(request.scope)
    names = [*settings.members, *settings.panels]
    cards = [_card(_generation(request), name) for name in names if may_use(record, name)]
    return JSONResponse({"object": "list", "data": cards})


async def model(request: Request) -> Response:
    """Describe one model."""
    name = request.path_params["model"]
    _generation(request).find(name)
    hold_to_model(record_of(request.scope), name)
    return JSONResponse(_card(_generation(request), name))


async def compose(request: Request) -> Response:
    """Show what the engines would be asked, and ask none."""
    generation, record = _generation(request), record_of(request.scope)
    limits = generation.settings.limits
    asked = wire.parse(await asgi.read_body(request.receive, record, limits), limits)
    hold_to_model(record, asked.model)
    target = generation.find(asked.model)
    record.model = asked.model
    if isinstance(target, Member):
        wire.check_for_member(asked)
        return JSONResponse(await _composed(generation, target, asked))
    wire.check_for_panel(asked, len(target.members))
    members = [generation.settings.members[name] for name in target.members]
    composed = [await _composed(generation, member, asked) for member in members]
    return JSONResponse({"model": asked.model, "members": composed})


def _card(generation: Generation, name: str) -> dict[str, Any]:
    card = {"id": name, "object": "model", "created": 0, "owned_by": "input-time-scaling"}
    return {**card, "input_time": _describe(generation, generation.find(name))}


def _describe(generation: Generation, target: Member | Panel) -> dict[str, Any]:
    if isinstance(target, Panel):
        members = [_describe(generation, generation.settings.members[m]) for m in target.members]
        return {
            "kind": "panel",
            "method": target.method,
            "samples": target.samples,
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
    asked = await generation.contexts.ask(member, request.question, request.override)
    asked = wire.pass_doors(request, asked)
    messages = prompts.compose(request.messages, asked.context, asked.layout)
    return {"model": member.name, "messages": messages, "input_time": describe(asked)}


async def _http_error(request: Request, error: Exception) -> Response:
    """Put Starlette's own refusals (no such path, wrong method) into OpenAI's shape."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    if error.status_code == 405:
        allow = (error.headers or {}).get("allow", "")
        refusal: ApiError = MethodNotAllowed(f"{method} is not allowed on {path}", allow=allow)
    else:
        refusal = NotFound(f"there is nothing at {path}", code="not_found")
    return await _api_error(request, refusal)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return Response(
        error.encode(), error.http_status, dict(error.headers), media_type="application/json"
    )
