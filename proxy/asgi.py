"""The few ASGI steps that every endpoint shares: read a body, answer, notice a client leave."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from .errors import TooLarge

JSON = {"content-type": "application/json"}


class Disconnected(Exception):
    """The client left; nobody is there to answer."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the request body.

    Raises:
        TooLarge: it has more than `limit` bytes.
        Disconnected: the client left before it was complete.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body exceeds the limit of {limit} bytes")
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the response's head."""
    raw = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def write(send: Send, body: bytes, *, more: bool) -> None:
    """Send a piece of the response's body."""
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def respond(send: Send, body: bytes, headers: Mapping[str, str], status: int = 200) -> None:
    """Send a whole JSON response."""
    await start(send, status, {**JSON, "content-length": str(len(body)), **headers})
    await write(send, body, more=False)


async def respond_json(send: Send, payload: Any, headers: Mapping[str, str] = {}) -> None:
    """Encode `payload` and send it."""
    await respond(send, msgspec.json.encode(payload), headers)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, or cancel it as soon as the client leaves.

    Starlette cancels nothing when a client leaves before the first byte; engines would go on
    generating for nobody.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for future in (task, gone):
            future.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def header(scope: Scope, name: bytes) -> str | None:
    """Return the request header `name` (lower case), if it was sent."""
    found: Iterable[bytes] = (value for key, value in scope["headers"] if key == name)
    value = next(iter(found), None)
    return None if value is None else value.decode("latin-1")
