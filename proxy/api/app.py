"""The Starlette application: what the proxy serves, and with what.

What relays bytes is raw ASGI and found by a table; everything else is ordinary Starlette.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..base.errors import ApiError
from ..config.settings import Settings
from ..edge.auth import Auth
from ..edge.middleware import Edge
from ..state import Service
from ..telemetry import tracing
from . import page, views
from .router import RelayRouter


def create_app(
    settings: Settings, service: Service | None = None, *, insecure: bool = False
) -> ASGIApp:
    """Return the proxy for `settings`; engines are opened, or started, with the application.

    With `insecure` and without keys, it is served under any host name.
    """
    service = service or Service(settings, insecure=insecure)
    # Around Starlette, not inside: its own outer layers cost what half a relay costs.
    auth = Auth(RelayRouter(_starlette(service)), settings.cors_origins, insecure=insecure)
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
            Route("/v1/models", views.models),
            Route("/v1/models/", views.models),
            Route("/v1/models/{model:path}", views.model),
            Route("/v1/input_time/compose", views.compose, methods=["POST"]),
            Route("/health", views.health),
            Route("/ready", views.ready),
            Route("/metrics", views.metrics),
            Route("/openapi.json", views.openapi),
            *page.routes(),
            Route("/version", views.version),
        ],
        exception_handlers={HTTPException: views.http_error, ApiError: views.api_error},
        lifespan=lifespan,
    )
