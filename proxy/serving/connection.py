"""One client's connection: HTTP/1.1, one request at a time, within limits.

An `asyncio.Protocol` for uvicorn's `http` setting, in the place of uvicorn's own. The one that uses
httptools (uvicorn 0.54) reads the body behind an `Upgrade:` header as the next request, so that
behind a reverse proxy one client could receive another's answer. None of them limits how long a
client may take to send headers, or leave an answer unread.

A response that begins before the request's body is complete closes the connection: nobody can
know where the next request would begin. Bytes that still come are thrown away, never parsed. What
follows a complete request waits, unparsed, until that request is answered.
"""

import asyncio
import logging
from typing import Any, Protocol, cast

import httptools
from starlette.types import ASGIApp

from ..base.errors import ApiError, BadRequest
from .exchange import Exchange, response_head
from .framing import END, MOST_HEAD, FramingError, RequestParser, may_begin
from .scope import Addresses, request_scope

LINGER_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 5.0
FAREWELL_SECONDS = 0.5
"""When the server stops: how long an idle client may take, whose next request is on its way."""

_LOG = logging.getLogger("its.proxy")


class ServerState(Protocol):
    """What uvicorn's server shares with its connections."""

    connections: set[Any]
    tasks: set[asyncio.Task[None]]
    default_headers: list[tuple[bytes, bytes]]
    total_requests: int


class Connection(asyncio.Protocol):
    """A connection on which `app` answers.

    `seconds` is how long a head may take to arrive, `stalled` how long the client may leave
    unread what waits for it.
    """

    def __init__(
        self,
        config: object,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        app: ASGIApp,
        seconds: float,
        stalled: float,
    ) -> None:
        self._app, self._seconds, self._stalled = app, seconds, stalled
        self._server, self._app_state = server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, None)
        self._addresses: Addresses = (None, None)
        self._parser = RequestParser()
        self._exchange: Exchange | None = None
        self._received = bytearray()
        """What is not parsed yet: a part of a head, or what follows a running request."""
        self._searched = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._writable: asyncio.Event | None = None
        self._paused = self._closing = self._stopping = False

    # asyncio.Protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)
        self._addresses = (_address(transport, "sockname"), _address(transport, "peername"))
        self._set_timer(self._seconds)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._closing = True
        self._stop_timer()
        # An application that waits for the client to read must go on, to see that it has left.
        self.resume_writing()
        if self._exchange is not None and not self._exchange.done:
            self._exchange.disconnect()

    def data_received(self, data: bytes) -> None:
        # The parser must never see a byte of the next request: see `framing`.
        if self._exchange is not None and not self._parser.whole and not self._closing:
            data = self._take_body(self._exchange, data)
        if self._closing or not data:
            return
        self._received += data
        if self._exchange is None:
            self._take_head()
        # A client may send its next requests before it reads the answer to this one.
        elif len(self._received) > MOST_HEAD:
            self.hold_back()

    def pause_writing(self) -> None:
        # Whoever asks and reads nothing would keep an engine's slot for ever.
        self._writable = asyncio.Event()
        self._unread = self._loop.call_later(self._stalled, self._transport.abort)

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    # uvicorn's server -------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Close after the running request, or after one that is on its way."""
        self._stopping = True
        if self._exchange is not None:
            self._exchange.keep_alive = False
        elif not self._closing:
            self._set_timer(FAREWELL_SECONDS)

    # What an exchange uses --------------------------------------------------------------------

    async def writable(self) -> None:
        """Wait while the client leaves too much unread."""
        if self._writable is not None:
            await self._writable.wait()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def hold_back(self) -> None:
        """Read no more for now: the kernel then holds the client back."""
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        if self._paused and not self._closing:
            self._paused = False
            self._transport.resume_reading()

    def response_done(self) -> None:
        """Go on with the next request, or close."""
        exchange = self._exchange
        assert exchange is not None
        self._server.total_requests += 1
        if not exchange.keep_alive:
            self._close()
            return
        self._exchange = None
        self.go_on()
        self._set_timer(KEEP_ALIVE_SECONDS)
        if self._received:  # it came before this answer was sent: no `data_received` will follow
            self._take_head()

    # Requests ---------------------------------------------------------------------------------

    def _take_head(self) -> None:
        """Start the next request once its head is complete."""
        received = self._received
        while received.startswith(b"\r\n"):  # RFC 9112, 2.2: an empty line before it is ignored
            del received[:2]
        if not received or received == b"\r":
            return
        # From where the last search ended, or a head that comes byte by byte costs its square.
        end = received.find(END, max(0, self._searched - len(END)))
        if end < 0 and len(received) <= MOST_HEAD:
            self._wait_for_head()
        elif end < 0 or end + len(END) > MOST_HEAD:
            self._refuse(ApiError(f"the headers exceed {MOST_HEAD} bytes", 431))
        else:
            head, rest = bytes(received[: end + len(END)]), bytes(received[end + len(END) :])
            received.clear()
            self._searched = 0
            self._begin(head)
            self.data_received(rest)

    def _wait_for_head(self) -> None:
        if not self._searched:
            self._set_timer(self._seconds)
        self._searched = len(self._received)
        if not may_begin(self._received):  # no need to wait for the end of it
            self._refuse(_not_http())

    def _begin(self, head: bytes) -> None:
        if head.startswith(b"CONNECT "):
            told = "CONNECT is not allowed: this is not a forward proxy"
            code = "method_not_allowed"
            self._refuse(ApiError(told, 405, code=code, headers={"allow": "POST"}))
            return
        try:
            parsed = self._parser.head(head)
            scope = request_scope(parsed, self._addresses, self._app_state)
        except (FramingError, httptools.HttpParserError, ValueError):
            self._refuse(_not_http())
            return
        self._stop_timer()
        exchange = self._exchange = Exchange(self, scope, self._server.default_headers)
        # HTTP/1.0 knows no chunks: there the end of the connection is the end of the body.
        exchange.keep_alive = parsed.keep_alive and parsed.version == "1.1" and not self._stopping
        if self._parser.whole:
            exchange.complete()
        task = self._loop.create_task(self._run(scope, exchange))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _run(self, scope: dict[str, Any], exchange: Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # its text may hold anything
            _LOG.error("a response broke off: %s", type(error).__name__)
        finally:
            # An application that returns without an answer would leave the client waiting.
            if not (exchange.done or exchange.disconnected):
                self._break_off(exchange, ApiError("the request was not answered"))

    def _take_body(self, exchange: Exchange, data: bytes) -> bytes:
        """Hand the body on; return what follows the request."""
        try:
            content, rest = self._parser.body(data)
        except FramingError:
            self._break_off(exchange, _not_http())
            exchange.disconnect()
            return b""
        for piece in content:
            exchange.take(piece)
        if self._parser.whole:
            exchange.complete()
        return rest

    # Ends -------------------------------------------------------------------------------------

    def _break_off(self, exchange: Exchange, error: ApiError) -> None:
        if exchange.started:  # only a reset tells the client that the response is not whole
            self._transport.abort()
        else:
            self._refuse(error)

    def _refuse(self, error: ApiError) -> None:
        """Answer without the application, and close."""
        body = error.encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *((key.encode(), value.encode()) for key, value in error.headers.items()),
            (b"connection", b"close"),
        ]
        self._transport.write(response_head(error.status, headers) + body)
        self._close(at_once=False)

    def _close(self, *, at_once: bool = True) -> None:
        """Close; where the client may still be sending, read on for a moment first.

        The kernel resets a connection that is closed with bytes unread, and the reset overtakes the
        answer (RFC 9112, 9.6).
        """
        self._received.clear()
        if at_once and self._parser.whole and not self._paused:
            self._closing = True
            self._transport.close()
            return
        self.go_on()
        self._closing = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._set_timer(LINGER_SECONDS)

    def _set_timer(self, seconds: float) -> None:
        """Close the connection in `seconds`, unless something else happens before."""
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, self._transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _not_http() -> BadRequest:
    return BadRequest("the request is not HTTP/1.1", code="bad_http")


def _address(transport: asyncio.BaseTransport, side: str) -> tuple[str, int] | None:
    """Return host and port of one side; `None` where the socket is no TCP one."""
    found = transport.get_extra_info(side)
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None
