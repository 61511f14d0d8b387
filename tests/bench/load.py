"""The benchmark's client: keep-alive connections that ask again as soon as they are answered.

Run: `python tests/bench/load.py ADDRESS JSON`, where JSON says `model`, `stream`, `connections`,
`seconds` (or `requests`), `fresh` (each question is a new one) and `key`. It prints one JSON line:
requests, seconds, latencies and times to the first byte of the body (seconds, sorted).
"""

import asyncio
import json
import sys
import time
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop

QUESTION = (
    "A farmer keeps hens, ducks and geese. There are three times as many hens as ducks, and four"
    " fewer geese than ducks; together they have %d legs. How many ducks are there?"
)


class Client(asyncio.Protocol):
    """One connection: asks, waits for the whole answer, asks again."""

    transport: asyncio.Transport

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.parser = httptools.HttpResponseParser(self)
        self.sent = self.first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.ask()

    def ask(self) -> None:
        request = self.run.next()
        if request is None:
            self.transport.close()
            return
        self.first = 0.0
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.first = self.first or time.perf_counter()

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        if (status := self.parser.get_status_code()) != 200:
            self.run.failed = self.run.failed or f"status {status}"
        self.run.latencies.append(now - self.sent)
        self.run.firsts.append(self.first - self.sent)
        self.parser = httptools.HttpResponseParser(self)
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self.run.closed()


class Run:
    """A measurement: what is asked, until when, and what was seen."""

    def __init__(self, address: str, plan: dict[str, Any]) -> None:
        self.parts = urlsplit(address)
        assert self.parts.hostname
        assert self.parts.port
        self.at = (self.parts.hostname, self.parts.port)
        self.plan = plan
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.failed = ""
        self.asked = 0
        self.open = plan["connections"]
        self.ended = asyncio.Event()
        self.deadline = time.perf_counter() + plan.get("seconds", 3600)
        self.limit = plan.get("requests", 10**9)
        self.fixed = self.request(100)

    def request(self, number: int) -> bytes:
        message = {"role": "user", "content": QUESTION % number}
        body = {"model": self.plan["model"], "messages": [message], "temperature": 0.6}
        if self.plan.get("stream"):
            body["stream"] = True
        raw = json.dumps(body, separators=(",", ":")).encode()
        key = f"authorization: Bearer {self.plan['key']}\r\n" if self.plan.get("key") else ""
        head = (
            f"POST {self.parts.path}/chat/completions HTTP/1.1\r\nhost: {self.parts.netloc}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n{key}\r\n"
        )
        return head.encode() + raw

    def next(self) -> bytes | None:
        if self.asked >= self.limit or time.perf_counter() >= self.deadline or self.failed:
            return None
        self.asked += 1
        return self.request(1000 + self.asked) if self.plan.get("fresh") else self.fixed

    def closed(self) -> None:
        self.open -= 1
        if self.open == 0:
            self.ended.set()

    async def go(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        for _ in range(self.plan["connections"]):
            await loop.create_connection(lambda: Client(self), *self.at)
        await self.ended.wait()
        if self.failed:
            raise SystemExit(f"load: {self.failed}")
        seconds = time.perf_counter() - started
        return {
            "requests": len(self.latencies),
            "seconds": seconds,
            "latencies": sorted(self.latencies),
            "firsts": sorted(self.firsts),
        }


async def main() -> None:
    print(json.dumps(await Run(sys.argv[1], json.loads(sys.argv[2])).go()))


if __name__ == "__main__":
    uvloop.run(main())
