"""One connection to an engine: what the socket gives is parsed in place by httptools.

The order of events is not ours to choose, and most of the code is about it: an answer may begin
while the request is still being written, and an end may be known to the kernel before the event
loop has read it. One coroutine waits at a time (`_waiter`), and what came before an error is handed
on first.
"""

import asyncio
import select
from collections.abc import Sequence
from typing import Protocol, cast

import httptools

from .response import MOST_HEAD, HttpError, Response

MOST_UNREAD = 512 * 1024
"""Bytes of a body that wait for a slow reader before the engine is held back."""

PIECE = 64 * 1024
"""A larger request is written in pieces of so many bytes, as the engine takes them."""


class ConnectionPool(Protocol):
    """The side of a pool that a connection uses."""

    def keep(self, connection: "EngineConnection") -> None: ...
    def forget(self, connection: "EngineConnection") -> None: ...


class EngineConnection(asyncio.Protocol):
    """One connection: idle in the pool, or in the middle of one exchange."""

    def __init__(self, pool: ConnectionPool) -> None:
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
        self.streamed = False
        """Whether its last answer came in chunks, as a stream does."""
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
        # 0: no head has come. `on_headers_complete` leaves 1xx heads out.
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
                # An engine that refuses a body answers before it has read it (413, 429). Going on
                # to write would end in a reset that overtakes the answer.
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
        self.streamed = response is not None and b"transfer-encoding" in response.headers
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
        # TLS would buffer half a megabyte for each call.
        self._transport.set_write_buffer_limits(PIECE)

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
        # httptools has no limit of its own: an engine could send headers for ever.
        if not response.status:
            response.head_size += len(data)
            if response.head_size > MOST_HEAD + len(data):
                self._fail(HttpError("protocol", "sent an endless head"))
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # What our own callbacks raise (`on_message_begin`) comes as an HttpParserError too.
            self._fail(HttpError("protocol", "sent something else than HTTP"))

    def eof_received(self) -> None:
        response = self._response
        if response is not None and response.status and not response.complete:
            framed = {b"content-length", b"transfer-encoding"} & response.headers.keys()
            if not framed:  # the end of the connection is the end of the body
                response.complete = True

    def connection_lost(self, error: Exception | None) -> None:
        # asyncio calls `eof_received` first: a body that the end completes is complete by now.
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
        # One timer for each call, moved on only when it fires: moving it for every chunk would cost
        # more than parsing the chunk.
        if silent < self._seconds:
            self._timer = self._loop.call_later(self._seconds - silent, self._check_silence)
        else:
            self._timer = None
            self._fail(HttpError("timeout", "did not answer in time"))
