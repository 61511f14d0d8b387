"""HTTP/1.1 to an engine: a pool of kept connections, read by httptools, cancelled by closing.

The relay's own client. A general one costs three times the CPU of everything else a request
needs, and hands a stream on through two more queues; here what the socket gives is parsed in
place and handed to the one coroutine that waits. It knows POST and GET, follows no redirect,
reads no proxy variable, takes no cookie and asks for no compression.
"""

import asyncio
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast
from urllib.parse import urlsplit

import httptools

from its.sse import looks_like_events

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 2.0
"""How long a kept connection may rest before it is used again. Well below the 5 s after which
uvicorn (SGLang, vLLM) and llama.cpp close one, because a request that crosses such a closing is
lost: it is never sent twice (see `Pool.send`)."""

MOST_HEAD = 64 * 1024
MOST_BODY = 64 * 1024 * 1024
MOST_UNREAD = 512 * 1024
"""Bytes of a body that wait for a slow reader before the engine is held back."""

PIECE = 64 * 1024
"""A larger request is written in pieces of so many bytes, as the engine takes them."""


class HttpError(Exception):
    """The exchange failed; `kind` is `refused`, `timeout`, `protocol` or `broken`."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Response:
    """A response whose head has arrived; the body is read once, whole or in chunks.

    Leaving its `with` block gives the connection back, or closes it if the body was not read.
    """

    __slots__ = ("_connection", "_unread", "_unread_size", "complete", "head_size", "headers",
                 "status", "tap")  # fmt: skip

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._unread: deque[bytes] = deque()
        self._unread_size = 0
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.head_size = 0
        self.complete = False
        self.tap: Callable[[bytes], None] | None = None
        """Is told every piece of the body that comes from now on."""

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the connection back; close it in the middle of a body."""
        self._connection.release()

    @property
    def content_type(self) -> bytes:
        """The media type, lower case and without parameters."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    @property
    def rate_limits(self) -> list[tuple[bytes, bytes]]:
        """The `x-ratelimit-*` headers: clients pace themselves by them."""
        return [pair for pair in self.headers.items() if pair[0].startswith(b"x-ratelimit-")]

    async def is_events(self) -> bool:
        """Tell whether the body is a stream of events; some servers give it another type.

        Where the type is another, it waits for the first bytes, and takes none.

        Raises:
            HttpError: the body breaks off before that.
        """
        if self.content_type == b"text/event-stream":
            return True
        while (found := looks_like_events(b"".join(self._unread))) is None and not self.complete:
            await self._connection.wait()
        return bool(found)

    async def read(self, most: int = MOST_BODY) -> bytes:
        """Return the whole body.

        Raises:
            HttpError: it breaks off, comes to a halt, or has more than `most` bytes.
        """
        while not self.complete:
            if self._unread_size > most:
                raise HttpError("protocol", f"sent more than {most} bytes")
            await self._connection.wait()
        return b"".join(self._unread)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            HttpError: it breaks off or comes to a halt.
        """
        unread = self._unread
        self._connection.hold_back(self._unread_size)
        while True:
            if unread:
                data = unread.popleft() if len(unread) == 1 else b"".join(unread)
                unread.clear()
                self._unread_size = 0
                self._connection.resume()
                yield data
            elif self.complete:
                return
            else:
                await self._connection.wait()

    def listen(self, tap: Callable[[bytes], None]) -> None:
        """Have `tap` told the body, what has come of it already first."""
        tap(b"".join(self._unread))
        self.tap = tap

    def take(self, data: bytes) -> int:
        """Keep a piece of the body; return how much waits."""
        self._unread.append(data)
        self._unread_size += len(data)
        if self.tap is not None:
            self.tap(data)
        return self._unread_size


class _Connection(asyncio.Protocol):
    """One connection: idle in the pool, or in the middle of one exchange."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: HttpError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._seconds = 0.0
        self._heard = 0.0
        self._paused = self._hold_back = self._reusable = False
        self.idle_since = 0.0
        self._poll: select.poll | None = None
        self._full = self._uploading = False

    # What the pool and the response ask for ------------------------------------------------

    @property
    def usable(self) -> bool:
        return self._error is None and self._transport is not None

    @property
    def silent(self) -> bool:
        """Whether nothing has come since the last answer: no end of the connection either.

        The kernel is asked, because it may know of an end that the event loop has not read yet.
        """
        if self._poll is None:
            assert self._transport is not None
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    async def exchange(self, request: Sequence[bytes], seconds: float) -> Response:
        """Send `request`, the pieces of one; return the response once its head is here.

        `seconds` is the longest silence, now and while the body is read.
        """
        assert self._transport is not None
        response = self._response = Response(self)
        self._hold_back = False
        self._seconds, self._heard = seconds, self._loop.time()
        self._timer = self._loop.call_later(seconds, self._check_silence)
        if len(request) == 1:
            self._transport.write(request[0])
        else:
            await self._upload(request, response)
        while not response.status:
            await self.wait()
        return response

    async def _upload(self, request: Sequence[bytes], response: Response) -> None:
        """Write `request` as fast as the engine reads.

        Pieces may be shared by many calls. A transport copies what it cannot send (asyncio's and
        every TLS one do), so that 192 calls to an engine that does not read would hold as many
        copies. An answer that comes before the end ends it: the connection is not used again.
        """
        self._uploading = True
        for piece in request:
            view = memoryview(piece)
            for start in range(0, len(view), PIECE):
                while self._full and not response.status:
                    await self.wait()
                if response.status or self._transport is None:
                    return
                self._transport.write(view[start : start + PIECE])
        self._uploading = False

    async def wait(self) -> None:
        """Wait for something to arrive."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        # Data that came before an error is handed on first; the next wait raises it.

    def hold_back(self, unread: int) -> None:
        """From now on pause an engine that sends faster than the body is taken."""
        self._hold_back = True
        if unread > MOST_UNREAD:
            self._pause()

    def resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def release(self) -> None:
        """Go back to the pool, or close in the middle of an exchange."""
        self.resume()
        response, self._response = self._response, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        unspoiled = self.usable and self._reusable and not self._uploading
        if response is not None and response.complete and unspoiled:
            self._pool.keep(self)
        else:
            self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._error = self._error or HttpError("broken", "closed")

    # asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(PIECE)  # TLS would buffer half a megabyte

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._heard = self._loop.time()  # it reads
        self._wake()

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # nobody asked; whatever it is, the connection is spoiled
            self._pool.forget(self)
            self.abort()
            return
        self._heard = self._loop.time()
        if not response.status:
            response.head_size += len(data)
            if response.head_size > MOST_HEAD + len(data):
                self._fail(HttpError("protocol", "sent an endless head"))
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(HttpError("protocol", "sent something else than HTTP"))

    def eof_received(self) -> None:
        response = self._response
        if response is not None and response.status and not response.complete:
            framed = {b"content-length", b"transfer-encoding"} & response.headers.keys()
            if not framed:  # the end of the connection is the end of the body
                response.complete = True

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._pool.forget(self)
        if self._error is None:
            self._error = HttpError("broken", "closed the connection")
        self._wake()

    # httptools -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._response is None or self._response.complete:
            raise ValueError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._response is not None
        self._response.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        assert self._response is not None
        status = self._parser.get_status_code()
        if status >= 200:
            self._response.status = status
            self._wake()
        else:
            self._response.headers.clear()

    def on_body(self, data: bytes) -> None:
        assert self._response is not None
        waiting = self._response.take(data)
        if waiting > MOST_UNREAD and self._hold_back:
            self._pause()
        self._wake()

    def on_message_complete(self) -> None:
        response = self._response
        if response is not None and response.status:
            response.complete = True
            self._reusable = self._parser.should_keep_alive()  # known in this moment only
            self._wake()

    # Inside ----------------------------------------------------------------------------------

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: HttpError) -> None:
        self._error = self._error or error
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _check_silence(self) -> None:
        silent = self._loop.time() - self._heard
        if self._paused:  # the silence is ours
            silent = 0.0
        if silent < self._seconds:
            self._timer = self._loop.call_later(self._seconds - silent, self._check_silence)
        else:
            self._timer = None
            self._fail(HttpError("timeout", "did not answer in time"))


class Pool:
    """Connections to one server. `base_url` gives scheme, host and port; its path is not used."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname is not None
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._head = f"HTTP/1.1\r\nhost: {parts.netloc}\r\naccept-encoding: identity\r\n".encode()
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    async def send(
        self,
        method: bytes,
        path: bytes,
        headers: bytes,
        body: bytes | Sequence[bytes],
        seconds: float,
    ) -> Response:
        """Send a request; return its response, to be used as a `with` block.

        `body` may come in pieces, which are not copied where they are large. `headers` are whole
        lines, each ending in CRLF; `seconds` is the longest silence.

        Nothing is ever sent twice. Once bytes are handed to the kernel, TCP cannot tell whether
        the server has read them: a reset or an end may come before or after it began to work, and
        an answer that costs minutes of a GPU must not be made twice. So a kept connection is
        checked *before* the first byte is written (`_reuse`): if it has ended, or anything came
        on it, another one is used. What is left is an end that is under way on the wire in that
        moment; `IDLE_SECONDS` keeps us away from the time at which servers close idle
        connections. It is reported as `broken`.

        Raises:
            HttpError: no connection could be made, or it failed before an answer began.
        """
        pieces = [body] if isinstance(body, bytes) else body
        size = sum(map(len, pieces))
        head = b"%s %s %s%scontent-length: %d\r\n\r\n" % (
            method, path, self._head, headers, size,
        )  # fmt: skip
        request = [head, *pieces] if size > PIECE else [b"".join((head, *pieces))]
        connection = self._reuse() or await self._connect()
        try:
            return await connection.exchange(request, seconds)
        except BaseException:
            connection.release()
            raise

    def close(self) -> None:
        """Close every connection, also those in use."""
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()

    def keep(self, connection: _Connection) -> None:
        """Take a connection back after a complete exchange."""
        now = connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if now - self._idle[0].idle_since > IDLE_SECONDS:
            self._idle.pop(0).abort()

    def forget(self, connection: _Connection) -> None:
        """Leave out a connection that has gone."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _reuse(self) -> _Connection | None:
        """Return the connection that was used last, if it is fresh; the older ones are closed."""
        while self._idle:
            connection = self._idle.pop()
            fresh = time.monotonic() - connection.idle_since < IDLE_SECONDS
            if fresh and connection.usable and connection.silent:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self), self._host, self._port, ssl=self._ssl
                )
        except (OSError, TimeoutError) as error:
            raise HttpError("refused", _unreachable(error)) from error
        self._open.add(connection)
        return connection


def _unreachable(error: Exception) -> str:
    """Say why there is no connection. The server's address stays unsaid: clients see this."""
    if isinstance(error, ssl.SSLCertVerificationError):
        # OpenSSL's text for a wrong host name has that name in it.
        wrong_host = "ostname mismatch" in error.verify_message or "IP address" in (
            error.verify_message
        )
        reason = "it is for another host" if wrong_host else error.verify_message
        return f"has a certificate that cannot be verified: {reason}"
    if isinstance(error, ssl.SSLError):
        return f"does not speak TLS as expected: {error.reason or 'handshake failed'}"
    if isinstance(error, socket.gaierror):
        return "cannot be reached: its host name is unknown"
    return "cannot be reached"
