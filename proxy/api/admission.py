"""The one way in for a request that names a model: its body, its fields, its model, its key."""

from collections.abc import Callable
from typing import TypeVar

from starlette.types import Receive, Scope

from ..base import asgi
from ..base.record import record_of
from ..config.settings import Limits, Member, Panel
from ..telemetry import logs
from ..wire.request import Request

R = TypeVar("R", bound=Request)


async def admit(
    scope: Scope, receive: Receive, parse: Callable[[bytes, Limits], R]
) -> tuple[R, Member | Panel]:
    """Return the request, read by `parse`, and the member or panel that it names.

    Raises:
        BadRequest: a field that the proxy reads has the wrong shape.
        ApiError: the body is too large, or no plain JSON (413, 415); there is no such model, or not
            for this key (404).
        Disconnected: the client left before the body was complete.
    """
    record, generation = record_of(scope), scope["state"]["generation"]
    limits = generation.settings.limits
    body = await asgi.read_body(receive, record, limits)
    logs.body(record, "request", body)
    request = parse(body, limits)
    target: Member | Panel = generation.find_model(request.model, record.client)
    record.model = request.model
    return request, target
