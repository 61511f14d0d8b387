"""The few ASGI steps that every endpoint shares: read a body, answer, notice a client leave."""

import asyncio
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Send

from ..config.settings import Limits
from .errors import ApiError
from .record import Record

JSON = [(b"content-type", b"application/json")]
Headers = list[tuple[bytes, bytes]]


class Disconnected(Exception):
    """The client left; nobody is there to answer."""


async def read_body(receive: Receive, record: Record, limits: Limits) -> bytes:
    """Return the request body: JSON, without a byte order mark.

    Raises:
        ApiError: 415, it is compressed or, without a key, not said to be JSON; 413, it has more
            than `limits.body` bytes, or says that it will.
        Disconnected: the client left before it was complete.

    Where nothing comes for `limits.read_seconds`, the request is ended as `stalled`.
    """
    _check_media(record)
    limit = limits.body
    if record.length.isdigit() and int(record.length) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size, more = 0, True
    loop = asyncio.get_running_loop()
    while more:
        patience = loop.call_later(limits.read_seconds, record.end, "stalled")
        message = await receive()
        patience.cancel()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        more = message.get("more_body", False)
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    return body.removeprefix(BOM_UTF8)


def _check_media(record: Record) -> None:
    encoding = record.content_encoding
    if encoding and encoding.lower() != b"identity":
        shown = encoding[:100].decode("latin-1")
        raise ApiError(
            f"The body is compressed ({shown}). Send it as plain JSON, without content-encoding.",
            status=415,
            code="unsupported_content_encoding",
        )
    # A web page may send any other type to this machine without asking first (a "simple" request).
    # Clients with a key may go on without one, as a page has no key.
    if record.client is None and not _is_json(record.content_type):
        raise ApiError(
            "Send the body as JSON, with `content-type: application/json`.",
            status=415,
            code="unsupported_content_type",
        )


def _is_json(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    suffixed = kind.startswith(b"application/") and kind.endswith(b"+json")
    return kind == b"application/json" or suffixed


def _too_large(limit: int) -> ApiError:
    return ApiError(f"the body exceeds the limit of {limit} bytes", 413)


async def start(send: Send, status: int, headers: Headers) -> None:
    """Send the response's head; `headers` becomes the response's."""
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def write(send: Send, body: bytes, *, more: bool) -> None:
    """Send a piece of the response's body."""
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def respond(send: Send, body: bytes, headers: Headers, status: int = 200) -> None:
    """Send a whole JSON response."""
    length = (b"content-length", b"%d" % len(body))
    await start(send, status, [*JSON, length, *headers])
    await write(send, body, more=False)


async def respond_json(send: Send, payload: Any, headers: Headers) -> None:
    """Encode `payload` and send it."""
    await respond(send, msgspec.json.encode(payload), headers)


def method_not_allowed(method: str, path: str, allow: str = "POST") -> ApiError:
    """Return the 405 for a method that a path does not have; `allow` lists those that it has."""
    told = f"{method[:20]} is not allowed on {path[:100]}"
    return ApiError(told, 405, code="method_not_allowed", headers={"allow": allow})


def raw(headers: Mapping[str, str]) -> Headers:
    """Return `headers` as ASGI wants them."""
    return [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]


def watch(receive: Receive, record: Record) -> asyncio.Task[None]:
    """Return a task that ends the request as soon as the client leaves; cancel it afterwards.

    Starlette cancels nothing when a client leaves before the first byte; engines would go on
    generating for nobody.
    """
    return asyncio.get_running_loop().create_task(_watch(receive, record))


async def _watch(receive: Receive, record: Record) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    record.end("left")
