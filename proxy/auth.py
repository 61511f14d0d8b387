"""Who may ask, and which model."""

import hmac
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import Forbidden, Unauthorized
from .record import Record, record_of
from .service import Generation
from .settings import Client

OPEN_PATHS = frozenset({"/health", "/ready"})


class Auth:
    """Holds every path but the open ones to a key, if keys are configured."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        generation: Generation = scope["state"]["generation"]
        clients = generation.settings.clients
        if not clients:
            return await self.app(scope, receive, send)
        record = record_of(scope)
        record.client = client = _client(clients, record.authorization)
        if client is None and scope["path"] not in OPEN_PATHS:
            raise Unauthorized("a valid key is needed: `Authorization: Bearer KEY`")
        await self.app(scope, receive, send)


def _client(clients: Sequence[Client], authorization: bytes) -> Client | None:
    scheme, _, secret = authorization.partition(b" ")
    given = secret.strip() if scheme.lower() == b"bearer" else b""
    # All keys are compared, so that the time taken says nothing about any of them.
    found = [client for client in clients if hmac.compare_digest(client.secret.encode(), given)]
    return found[0] if found else None


def may_use(record: Record, model: str) -> bool:
    """Tell whether the request's key allows `model`."""
    client = record.client
    return client is None or client.models is None or model in client.models


def hold_to_model(record: Record, model: str) -> None:
    """Refuse a model that the request's key does not allow.

    Raises:
        Forbidden: the key is limited to other models.
    """
    if not may_use(record, model):
        raise Forbidden(f"this key may not use the model {model!r}", param="model")
