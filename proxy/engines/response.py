"""An engine's response: read as it arrives, whole or in chunks."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Literal, Protocol

from its.sse import looks_like_events

MOST_HEAD = 64 * 1024
MOST_BODY = 64 * 1024 * 1024


class HttpError(Exception):
    """The exchange failed."""

    def __init__(
        self, kind: Literal["refused", "timeout", "protocol", "broken"], detail: str
    ) -> None:
        super().__init__(detail)
        self.kind = kind


class ResponseSource(Protocol):
    """The side of a connection that a response uses."""

    async def wait(self) -> None: ...
    def hold_back(self, unread: int) -> None: ...
    def resume(self) -> None: ...
    def release(self) -> None: ...


class Response:
    """A response whose head has arrived; the body is read once, whole or in chunks.

    Leaving its `with` block gives the connection back, or closes it if the body was not read.
    """

    __slots__ = ("_connection", "_unread", "_unread_size", "complete", "head_size", "headers",
                 "status", "tap")  # fmt: skip

    def __init__(self, connection: ResponseSource) -> None:
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
            if self._unread_size > MOST_HEAD:  # blank lines only: nothing bounds how many there are
                return False
            await self._connection.wait()
        return bool(found)

    async def read(self, most: int = MOST_BODY) -> bytes:
        """Return the whole body.

        Raises:
            HttpError: it breaks off, comes to a halt, or has more than `most` bytes.
        """
        while not self.complete:
            # Checked while it comes: a Content-Length may lie, and a chunked body has none.
            if self._unread_size > most:
                raise HttpError("protocol", f"sent more than {most} bytes")
            await self._connection.wait()
        return b"".join(self._unread)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            HttpError: it breaks off or comes to a halt.
        """
        # Not before: nobody would resume a body that is read whole, which `most` bounds.
        unread = self._unread
        self._connection.hold_back(self._unread_size)
        while True:
            if unread:
                # What came while the client was slow goes on as one chunk, in one write.
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
