"""HTTP/1.1 to an engine: a pool of kept connections, cancelled by closing.

The relay's own client. A general one costs three times the CPU of everything else a request
needs, and hands a stream on through two more queues; here what the socket gives is handed to the
one coroutine that waits. It knows POST and GET, follows no redirect, reads no proxy variable, takes
no cookie and asks for no compression.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from .connection import PIECE, EngineConnection
from .response import HttpError, Response

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 2.0
"""How long a kept connection may rest before it is used again. Well below the 5 s after which
uvicorn (SGLang, vLLM) and llama.cpp close one, because a request that crosses such a closing is
lost: it is never sent twice (see `Pool.send`)."""

SETTLE_SECONDS = 0.01
"""How long a connection rests after a stream, until one was seen to outlive it. llama.cpp says
`keep-alive` and closes all the same, in the moment that the next call takes the connection."""


class Pool:
    """Connections to one server. `base_url` gives scheme, host and port; its path is not used."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname is not None
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._head = f"HTTP/1.1\r\nhost: {parts.netloc}\r\naccept-encoding: identity\r\n".encode()
        self._idle: list[EngineConnection] = []
        self._open: set[EngineConnection] = set()
        self._outlives_streams = False

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
        # A small request is joined, because two writes may become two packets.
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

    def keep(self, connection: EngineConnection) -> None:
        """Take a connection back after a complete exchange."""
        # The list is in the order of use, so that the first one has rested longest. One is closed
        # for each that comes back: no timer is needed, and a burst shrinks away.
        now = connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if now - self._idle[0].idle_since > IDLE_SECONDS:
            self._idle.pop(0).abort()

    def forget(self, connection: EngineConnection) -> None:
        """Leave out a connection that has gone."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _reuse(self) -> EngineConnection | None:
        """Return the connection that was used last, if it is fresh; the older ones are closed."""
        now, settling = time.monotonic(), list[EngineConnection]()
        found = None
        while self._idle and found is None:
            # The last one used is the likeliest to be open still.
            connection = self._idle.pop()
            rested = now - connection.idle_since
            if not (rested < IDLE_SECONDS and connection.usable and connection.silent):
                connection.abort()
            elif connection.streamed and rested < SETTLE_SECONDS and not self._outlives_streams:
                settling.append(connection)
            else:
                found = connection
                self._outlives_streams |= connection.streamed
        self._idle += reversed(settling)
        return found

    async def _connect(self) -> EngineConnection:
        loop = asyncio.get_running_loop()
        # asyncio's own TLS handshake timeout is a minute: a request must not wait for that.
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: EngineConnection(self), self._host, self._port, ssl=self._ssl
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
