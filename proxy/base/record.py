"""What is known of one request while it is served: its id, whose it is, and how it ends."""

import asyncio
import os
import re
import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Self

from starlette.types import Scope, Send

from ..config.settings import Client
from .told import Told

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
TRACE = frozenset({b"traceparent", b"tracestate"})
OVERRIDE_ID = b"x-override-rid"
"""SGLang takes it as a call's id, and refuses one that is running already."""

KEPT_BACK = frozenset({b"x-request-id", b"x-api-key", b"x-forwarded-for"})
"""Never forwarded by a pattern such as `x-*`."""


class Record:
    """One request. Reads the request's headers in one pass, and watches its response."""

    __slots__ = (
        "_asking",
        "_asking_since",
        "_engine_seconds",
        "_send",
        "authorizations",
        "cause",
        "client",
        "content_encoding",
        "content_type",
        "error",
        "finished",
        "first_byte",
        "headers",
        "host",
        "length",
        "model",
        "origin",
        "quiet",
        "request_id",
        "retry_count",
        "started",
        "status",
        "strategy",
        "streamed",
        "task",
        "told",
        "trace",
    )

    def __init__(self, headers: Sequence[tuple[bytes, bytes]], send: Send) -> None:
        self._send = send
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.started = time.perf_counter()
        self._engine_seconds = self._asking_since = 0.0
        self._asking = 0
        self.status = 0
        self.first_byte: float | None = None
        self.streamed = self.finished = False
        self.client: Client | None = None
        self.model = self.strategy = ""
        self.cause = ""
        """Why the request was ended from outside: `left`, `stalled`, `expired`, `stopping`."""
        self.error = ""
        """What the log says of an error: our own word for it, such as `engine_refused`."""
        self.quiet = False
        """Whether the request is neither logged nor counted: the page looking at something."""
        self.told: Told | None = None
        self.headers = headers
        self._read(headers)

    def _read(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.length = b""
        self.authorizations: list[bytes] = []
        single = {b"host": b"", b"origin": b"", b"content-type": b"", b"content-encoding": b""}
        self.trace: dict[bytes, bytes] = {}
        request_id = b""
        self.retry_count = 0
        """How often the client's OpenAI SDK has asked this before."""
        for name, value in headers:
            if name in single:
                # One that comes twice is joined (RFC 9110, 5.3), so that neither value is trusted.
                single[name] = b"%s, %s" % (single[name], value) if single[name] else value
            elif name == b"authorization":
                self.authorizations.append(value)
            elif name == b"content-length":
                self.length = value
            elif name == b"x-request-id":
                request_id = value
            elif name in TRACE:
                self.trace[name] = value
            elif name == b"x-stainless-retry-count" and value.isdigit():
                self.retry_count = int(value[:4])
        self.host, self.origin, self.content_type, self.content_encoding = single.values()
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = os.urandom(16).hex().encode()
        self.request_id = request_id

    def forwarded(self, names: Sequence[bytes], call: int | None) -> bytes:
        """Return the header lines that go on to an engine whose `forward_headers` are `names`.

        A call of a panel (`call` is its number) never shares the client's `x-override-rid`.
        """
        lines = []
        for name, value in self.headers if names else ():
            if name in KEPT_BACK or not any(_matches(name, each) for each in names):
                continue
            number = b"-%d" % call if name == OVERRIDE_ID and call is not None else b""
            lines.append(b"%s: %s%s\r\n" % (name, value, number))
        return b"".join(lines)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send on, with the request id among the headers; the times are noted."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"].append((b"x-request-id", self.request_id))
        else:
            if self.first_byte is None and message.get("body"):
                self.first_byte = self.seconds
        await self._send(message)
        # Not before: a client that does not read keeps the last piece waiting like any other.
        self.finished = message["type"] == "http.response.body" and not message.get("more_body")

    def through(self, wrap: Callable[[Send], Send]) -> None:
        """Have all that is sent from now on pass `wrap`, on its way to the client."""
        self._send = wrap(self._send)

    def end(self, cause: str) -> None:
        """End the request from outside, unless it is answered; the first cause counts."""
        if self.finished:
            return
        self.cause = self.cause or cause
        self.task.cancel()

    @property
    def seconds(self) -> float:
        """Seconds since the request came."""
        return time.perf_counter() - self.started

    @property
    def asking(self) -> Self:
        """A `with` block in which an engine works for the request; blocks may overlap."""
        return self

    def __enter__(self) -> None:
        if not self._asking:
            self._asking_since = time.perf_counter()
        self._asking += 1

    def __exit__(self, *_: object) -> None:
        self._asking -= 1
        if not self._asking:
            self._engine_seconds += time.perf_counter() - self._asking_since

    @property
    def asked(self) -> bool:
        """Whether an engine was asked."""
        return self._engine_seconds > 0 or self._asking > 0

    @property
    def own_ms(self) -> float:
        """Milliseconds so far in which no engine worked for the request: our own."""
        now = time.perf_counter()
        engine = self._engine_seconds + (now - self._asking_since if self._asking else 0.0)
        return (now - self.started - engine) * 1000


def _matches(name: bytes, pattern: bytes) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith(b"*") else name == pattern


def record_of(scope: Scope) -> Record:
    """Return the record that `Edge` made for this request."""
    record: Record = scope["state"]["record"]
    return record
