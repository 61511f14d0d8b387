"""What is known of one request while it is served: its id, whose it is, and how it ends."""

import asyncio
import os
import re
import time
from collections.abc import MutableMapping, Sequence
from typing import Any

from starlette.types import Scope, Send

from .settings import Client

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
TRACE = frozenset({b"traceparent", b"tracestate"})
FORWARDED = frozenset({b"x-data-parallel-rank", b"x-smg-routing-key"})
FORWARDED_PREFIX = b"x-override-"


class Record:
    """One request. Reads the request's headers in one pass, and watches its response."""

    __slots__ = (
        "_send",
        "authorizations",
        "cause",
        "client",
        "content_encoding",
        "content_type",
        "engine_seconds",
        "finished",
        "first_byte",
        "forwarded",
        "host",
        "length",
        "model",
        "origin",
        "request_id",
        "started",
        "status",
        "strategy",
        "streamed",
        "task",
        "trace",
    )

    def __init__(self, headers: Sequence[tuple[bytes, bytes]], send: Send) -> None:
        self._send = send
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.started = time.perf_counter()
        self.engine_seconds = 0.0
        self.status = 0
        self.first_byte: float | None = None
        self.streamed = self.finished = False
        self.client: Client | None = None
        self.model = self.strategy = ""
        self.cause = ""
        """Why the request was ended from outside: `left`, `stalled`, `expired`, `stopping`."""
        self._read(headers)

    def _read(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.length = b""
        self.authorizations: list[bytes] = []
        single = {b"host": b"", b"origin": b"", b"content-type": b"", b"content-encoding": b""}
        self.trace: dict[bytes, bytes] = {}
        request_id = b""
        forwarded = []
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
            elif name in FORWARDED or name.startswith(FORWARDED_PREFIX):
                forwarded.append(b"%s: %s\r\n" % (name, value))
        self.host, self.origin, self.content_type, self.content_encoding = single.values()
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = os.urandom(16).hex().encode()
        self.request_id = request_id
        self.forwarded = b"".join(forwarded)

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
    def own_ms(self) -> float:
        """Milliseconds spent here rather than in an engine."""
        return (self.seconds - self.engine_seconds) * 1000


def record_of(scope: Scope) -> Record:
    """Return the record that `Edge` made for this request."""
    record: Record = scope["state"]["record"]
    return record
