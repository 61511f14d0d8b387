"""Who may ask. Which models a key may use, `Generation.find_model` says."""

import hmac
from collections.abc import Collection, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from ..base.errors import ApiError, BadRequest
from ..base.record import Record, record_of
from ..config.settings import Client, Settings
from ..page import files
from . import hosts

OPEN_PATHS = frozenset({"/health", "/ready"})


class Auth:
    """Holds every path but the open ones to a key; without keys, keeps web pages out.

    `origins` are the pages that may ask a proxy without keys; with `insecure` it is served under
    any name.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], *, insecure: bool) -> None:
        self.app, self._origins, self._insecure = app, origins, insecure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        settings = scope["state"]["generation"].settings
        record = record_of(scope)
        if len(record.authorizations) > 1:
            raise BadRequest("There are several `Authorization` headers. Send one.")
        if not settings.clients:
            hosts.require_allowed_host(
                record, settings.allowed_hosts, self._origins, insecure=self._insecure
            )
            return await self.app(scope, receive, send)
        record.client = client = _client(settings.clients, record)
        if client is None and not _is_open(scope, settings):
            raise ApiError(
                "a valid key is needed: `Authorization: Bearer KEY`, or `x-api-key: KEY`",
                401,
                headers={"www-authenticate": "Bearer"},
            )
        await self.app(scope, receive, send)


def _is_open(scope: Scope, settings: Settings) -> bool:
    """Tell whether a path needs no key: health, and the page's own files, which hold no secret."""
    return scope["path"] in OPEN_PATHS or files.wanted(scope, settings) is not None


def _client(clients: Sequence[Client], record: Record) -> Client | None:
    given = _secret(record)
    # All keys are compared, so that the time taken says nothing about any of them.
    found = [client for client in clients if hmac.compare_digest(client.secret.encode(), given)]
    return found[0] if found else None


def _secret(record: Record) -> bytes:
    """Return the key that a request came with: Anthropic's clients have a header of their own.

    Raises:
        BadRequest: several headers have one, and they are not the same.
    """
    scheme, _, secret = (record.authorizations or [b""])[0].partition(b" ")
    found = {value.strip() for name, value in record.headers if name == b"x-api-key"}
    if scheme.lower() == b"bearer":
        found.add(secret.strip())
    if len(found) > 1:
        raise BadRequest("There are several keys in `Authorization` and `x-api-key`. Send one.")
    return found.pop() if found else b""
