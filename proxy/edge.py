"""The outermost layer: a request id for everybody, and every error in OpenAI's shape."""

import logging
import re
import uuid
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from . import asgi
from .errors import ApiError

_LOG = logging.getLogger("its.proxy")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Edge:
    """Pure ASGI: Starlette's own middleware base doubles the CPU and hides disconnects."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                name_and_id = (b"x-request-id", request_id.encode("latin-1"))
                message = {**message, "headers": [*message["headers"], name_and_id]}
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except asgi.Disconnected:
            return None
        except ApiError as error:
            if started:
                raise
            await asgi.respond(send_with_id, error.encode(), error.headers, error.http_status)
        except Exception:
            # The text of an unforeseen error may hold anything, so the client gets the id only.
            _LOG.exception("request %s failed", request_id)
            if started:
                raise
            failure = ApiError(f"internal error; the log has it under request id {request_id}")
            await asgi.respond(send_with_id, failure.encode(), {}, failure.http_status)


def _request_id(scope: Scope) -> str:
    sent = asgi.header(scope, b"x-request-id")
    return sent if sent and _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
