"""The benchmark's engine: as little HTTP as there can be, so that the proxy is what is measured.

Run: `python tests/bench/loopback.py`; it prints its port and ends when its standard input closes.
The model's name says how it answers: `instant`, `slow` (after 50 ms), `long` (10,000 tokens at
once), `waits` (after 12 s), and with `"stream":true` 200 events, all at once for `instant` (a task
switch between two) and 5 ms apart for `slow`.
"""

import asyncio
import sys
from typing import cast

import httptools
import uvloop

EVENTS = 200
SLOW_SECONDS = 0.05
WAITS_SECONDS = 12.0
PACE_SECONDS = 0.005

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"Three and four are seven. The answer'
    b' is \\\\boxed{7}."},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,'
    b'"completion_tokens":15,"total_tokens":45}}'
)
LONG = ANSWER.replace(b"Three", b"Let x be the number of ducks, so $3x$ hens; " * 900 + b"Three")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":" seven"},"finish_reason":null}]}\n\n'
)
LAST = EVENT.replace(b'"finish_reason":null', b'"finish_reason":"stop"') + b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)
        self.body: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        body = b"".join(self.body)
        self.body = []
        slow = b'"slow"' in body
        if b'"stream":true' in body:
            self.streaming = asyncio.ensure_future(self.stream(PACE_SECONDS if slow else 0))
        elif slow or b'"waits"' in body:
            seconds = SLOW_SECONDS if slow else WAITS_SECONDS
            asyncio.get_running_loop().call_later(seconds, self.answer, ANSWER)
        else:
            self.answer(LONG if b'"long"' in body else ANSWER)

    def answer(self, body: bytes) -> None:
        self.transport.write(HEAD % len(body) + body)

    async def stream(self, pause: float) -> None:
        self.transport.write(STREAM_HEAD)
        for _ in range(EVENTS - 1):
            self.transport.write(chunk(EVENT))
            await asyncio.sleep(pause)
        self.transport.write(chunk(LAST) + b"0\r\n\r\n")


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
