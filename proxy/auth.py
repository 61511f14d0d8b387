"""Who may ask, which model, and how much at once."""

import hmac
from collections import Counter
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from . import asgi
from .errors import Forbidden, TooMany, Unauthorized
from .settings import Client

OPEN_PATHS = frozenset({"/health", "/ready"})


class Auth:
    """Holds every path but the open ones to a key, if keys are configured."""

    def __init__(self, app: ASGIApp, clients: Sequence[Client]) -> None:
        self.app, self.clients = app, clients
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.clients or scope["path"] in OPEN_PATHS:
            return await self.app(scope, receive, send)
        client = self._client(asgi.header(scope, b"authorization") or "")
        scope.setdefault("state", {})["client"] = client
        if client.max_concurrency and self._running[client.name] >= client.max_concurrency:
            raise TooMany(f"the key {client.name!r} has {client.max_concurrency} requests running")
        self._running[client.name] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._running[client.name] -= 1

    def _client(self, authorization: str) -> Client:
        scheme, _, secret = authorization.partition(" ")
        given = secret.strip().encode("latin-1") if scheme.lower() == "bearer" else b""
        # All keys are compared, so that the time taken says nothing about any of them.
        found = [c for c in self.clients if hmac.compare_digest(c.secret.encode(), given)]
        if not found:
            raise Unauthorized("a valid key is needed: `Authorization: Bearer KEY`")
        return found[0]


def may_use(scope: Scope, model: str) -> bool:
    """Tell whether the request's key allows `model`."""
    client: Client | None = scope.get("state", {}).get("client")
    return client is None or client.models is None or model in client.models


def hold_to_model(scope: Scope, model: str) -> None:
    """Refuse a model that the request's key does not allow.

    Raises:
        Forbidden: the key is limited to other models.
    """
    if not may_use(scope, model):
        raise Forbidden(f"this key may not use the model {model!r}", param="model")
