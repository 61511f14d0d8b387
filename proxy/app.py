"""The Starlette application: what the proxy serves, and with what.

The chat endpoint is raw ASGI, because it relays bytes; everything else is ordinary Starlette.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from its.answers.workers import Workers
from its.personas import bank

from . import wire
from .auth import Auth, hold_to_model, may_use
from .chat import Chat, Service
from .edge import Edge
from .embedded import EmbeddedEngine
from .engines import Engine
from .errors import ApiError, MethodNotAllowed, NotFound
from .personas import Contexts
from .settings import EngineSettings, Member, Panel, Settings


def create_app(settings: Settings) -> Starlette:
    """Return the proxy for `settings`; engines are opened, or started, with the application."""
    graders = Workers()
    service = Service(settings, Contexts(bank.load(), settings.persona_seed), graders)
    views = _Views(service)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.enter_context(graders)
            opened = await asyncio.gather(*(_open(e, stack) for e in settings.engines.values()))
            service.engines.update({engine.name: engine for engine in opened})
            yield

    return Starlette(
        routes=[
            Route("/v1/chat/completions", Chat(service), methods=["POST"]),
            Route("/v1/models", views.models),
            Route("/v1/models/{model:path}", views.model),
            Route("/v1/input_time/compose", views.compose, methods=["POST"]),
            Route("/health", views.health),
            Route("/ready", views.ready),
        ],
        middleware=[Middleware(Edge), Middleware(Auth, clients=settings.clients)],
        exception_handlers={HTTPException: _http_error, ApiError: _api_error},
        lifespan=lifespan,
    )


async def _open(settings: EngineSettings, stack: AsyncExitStack) -> Engine:
    base_url = settings.base_url
    if settings.embedded is not None:
        child = await stack.enter_async_context(EmbeddedEngine(settings.embedded))
        base_url = child.base_url
    assert base_url is not None, "the configuration has one or the other"
    engine = Engine(settings, base_url)
    stack.push_async_callback(engine.close)
    return engine


class _Views:
    """The endpoints that are not chat."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, request: Request) -> Response:
        """The process lives; says nothing else."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Every engine answers."""
        states = await asyncio.gather(*(e.ready() for e in self._service.engines.values()))
        ready = all(states)
        return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    async def models(self, request: Request) -> Response:
        """List the models that the key may use, with how they are asked."""
        settings = self._service.settings
        names = [*settings.members, *settings.panels]
        cards = [self._card(name) for name in names if may_use(request.scope, name)]
        return JSONResponse({"object": "list", "data": cards})

    async def model(self, request: Request) -> Response:
        """Describe one model."""
        name = request.path_params["model"]
        self._service.find(name)
        hold_to_model(request.scope, name)
        return JSONResponse(self._card(name))

    async def compose(self, request: Request) -> Response:
        """Show what the engines would be asked, and ask none."""
        chat = wire.parse(await self._service.body(request.receive))
        hold_to_model(request.scope, chat.model)
        target = self._service.find(chat.model)
        names = target.members if isinstance(target, Panel) else (target.name,)
        composed = [_composed(self._service, name, chat) for name in names]
        if isinstance(target, Panel):
            return JSONResponse({"model": chat.model, "members": composed})
        return JSONResponse(composed[0])

    def _card(self, name: str) -> dict[str, Any]:
        target = self._service.find(name)
        card = {"id": name, "object": "model", "created": 0, "owned_by": "input-time-scaling"}
        return {**card, "input_time": self._describe(target)}

    def _describe(self, target: Member | Panel) -> dict[str, Any]:
        if isinstance(target, Panel):
            members = [self._describe(self._service.settings.members[m]) for m in target.members]
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
            "co_design": target.co_design(target.strategy, target.layout).value,
            "train_strategy": target.manifest.train.strategy if target.manifest else None,
        }


def _composed(service: Service, name: str, chat: wire.ChatRequest) -> dict[str, Any]:
    member = service.settings.members[name]
    asked = service.contexts.ask(member, chat.messages, wire.override(chat.extras))
    return {"model": name, "messages": asked.messages, "input_time": wire.describe(asked)}


async def _http_error(request: Request, error: Exception) -> Response:
    """Put Starlette's own refusals (no such path, wrong method) into OpenAI's shape."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    if error.status_code == 405:
        refusal: ApiError = MethodNotAllowed(f"{method} is not allowed on {path}")
    else:
        refusal = NotFound(f"there is nothing at {path}", code="not_found")
    return await _api_error(request, refusal, error.headers or {})


async def _api_error(
    request: Request, error: Exception, headers: Mapping[str, str] = {}
) -> Response:
    assert isinstance(error, ApiError)
    return Response(
        error.encode(),
        error.http_status,
        {**error.headers, **headers},
        media_type="application/json",
    )
