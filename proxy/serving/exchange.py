"""One HTTP request and its response, as ASGI's `receive` and `send` see them."""

import asyncio
import http
from collections.abc import Iterable, MutableMapping
from typing import Any, Protocol

HIGH_WATER = 64 * 1024
"""Bytes of a request's body that wait for the application before the client is held back."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in http.HTTPStatus
}
_WITHOUT_BODY = frozenset({204, 304})

Header = tuple[bytes, bytes]


class ExchangeConnection(Protocol):
    """The side of a connection that an exchange uses."""

    async def writable(self) -> None: ...
    def write(self, data: bytes) -> None: ...
    def hold_back(self) -> None: ...
    def go_on(self) -> None: ...
    def response_done(self) -> None: ...


def response_head(status: int, headers: Iterable[Header]) -> bytes:
    """Return a response's head.

    Raises:
        ValueError: a header holds a line end, and would begin another header or response.
    """
    lines = [b"%s: %s\r\n" % header for header in headers]
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise ValueError("a header holds a line end")
    return (_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status) + head + b"\r\n"


class Exchange:
    """A request whose head is here, and the response to it.

    `keep_alive` tells whether the connection may carry another request; `standing` are the headers
    that every response has.
    """

    __slots__ = ("_body", "_body_complete", "_chunked", "_expects", "_head", "_is_head",
                 "_is_http10", "_left", "_news", "_size", "_standing", "_writer", "disconnected",
                 "done", "keep_alive", "started")  # fmt: skip

    def __init__(
        self,
        writer: ExchangeConnection,
        scope: MutableMapping[str, Any],
        standing: Iterable[Header],
    ) -> None:
        self._writer, self._standing = writer, standing
        self._is_head = scope["method"] == "HEAD"
        self._is_http10 = scope["http_version"] == "1.0"
        self._expects = not self._is_http10 and any(
            name == b"expect" and value.lower() == b"100-continue"
            for name, value in scope["headers"]
        )
        self._body: list[bytes] = []
        self._size = 0
        self._news = asyncio.Event()
        self._head = b""
        self._left: int | None = None
        self._chunked = self._body_complete = False
        self.keep_alive = self.started = self.done = self.disconnected = False

    # What the connection tells it -------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Keep a piece of the request's body until the application asks for it."""
        self._expects = False  # a client that sends does not wait to be asked
        if self.done:
            return
        self._body.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER:
            self._writer.hold_back()
        self._news.set()

    def complete(self) -> None:
        """Note that the request is here to its end."""
        self._body_complete = True
        self._expects = False
        self._news.set()

    def disconnect(self) -> None:
        """Note that the client left."""
        self.disconnected = True
        self._news.set()

    # ASGI -------------------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        """Return the next piece of the body, or that the client left or was answered."""
        # Asked for only when the application wants the body: a refusal then costs no upload.
        if self._expects and not self.started:
            self._expects = False
            self._writer.write(CONTINUE)
        if not self.disconnected and not self.done:
            # In this order: reading may bring the news at once.
            self._writer.go_on()
            await self._news.wait()
            self._news.clear()
        if self.disconnected or self.done:
            return {"type": "http.disconnect"}
        body, self._body, self._size = b"".join(self._body), [], 0
        return {"type": "http.request", "body": body, "more_body": not self._body_complete}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Write the response's head, or a piece of its body.

        Raises:
            RuntimeError: the application breaks ASGI's order, or its own Content-Length.
            ValueError: a header holds a line end.
        """
        await self._writer.writable()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
        else:
            self._write(message.get("body", b""), bool(message.get("more_body")))

    def _start(self, status: int, headers: Iterable[Header]) -> None:
        if self.started:
            raise RuntimeError("a second response to one request")
        # Where the client may still be sending, nobody knows where its next request would begin.
        self.keep_alive = self.keep_alive and self._body_complete
        lines = [*self._standing, *headers]
        length = next((value for name, value in lines if name == b"content-length"), None)
        self._left = None if length is None else int(length)
        # HTTP/1.0 knows no chunks: there the connection's end is the body's end.
        self._chunked = length is None and not self._is_http10 and status not in _WITHOUT_BODY
        if self._chunked:
            lines.append((b"transfer-encoding", b"chunked"))
        if not self.keep_alive:
            lines.append((b"connection", b"close"))
        self._head = response_head(status, lines)
        self.started = True
        if length is None:  # else it goes out with the body, which follows at once
            self._flush(b"")

    def _write(self, body: bytes, more: bool) -> None:
        if not self.started or self.done:
            raise RuntimeError("a body without a response, or behind its end")
        if self._is_head:
            self._flush(b"")
        elif self._chunked:
            chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            self._flush(chunk if more else chunk + b"0\r\n\r\n")
        else:
            self._count(len(body), more)
            self._flush(body)
        if not more:
            self.done = True
            self._news.set()
            self._writer.response_done()

    def _count(self, size: int, more: bool) -> None:
        if self._left is None:
            return
        self._left -= size
        if self._left < 0 or (self._left and not more):
            raise RuntimeError("the body does not have its Content-Length")

    def _flush(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            self._writer.write(head + data)
