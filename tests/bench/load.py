"""The benchmark's client: connections that ask again as soon as they are answered.

It does what any client does: it writes a JSON body for each request, reads the whole answer, and
checks that it is the right one.

Run: `python tests/bench/load.py ADDRESS JSON`, where JSON says `model`, `stream`, `connections`,
`seconds` (or `requests`), `fresh` (each question is a new one) and `key`. It prints one JSON line:
requests, seconds, latencies and times to the first byte of the body (seconds, sorted).
"""

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import uvloop

QUESTION = (
    "A farmer keeps hens, ducks and geese. There are three times as many hens as ducks, and four"
    " fewer geese than ducks; together they have %d legs. How many ducks are there?"
)


class Run:
    """A measurement: what is asked, until when, and what was seen."""

    def __init__(self, address: str, plan: dict[str, Any]) -> None:
        self.parts = urlsplit(address)
        self.plan = plan
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.asked = 0
        self.deadline = time.perf_counter() + plan.get("seconds", 3600)
        self.limit = plan.get("requests", 10**9)

    async def go(self) -> dict[str, Any]:
        """Measure; return what was seen."""
        started = time.perf_counter()
        await asyncio.gather(*(self.connection() for _ in range(self.plan["connections"])))
        return {
            "requests": len(self.latencies),
            "seconds": time.perf_counter() - started,
            "latencies": sorted(self.latencies),
            "firsts": sorted(self.firsts),
        }

    async def connection(self) -> None:
        reader, writer = await asyncio.open_connection(self.parts.hostname, self.parts.port)
        while self.asked < self.limit and time.perf_counter() < self.deadline:
            self.asked += 1
            request = self.request(self.asked if self.plan.get("fresh") else 0)
            sent = time.perf_counter()
            writer.write(request)
            first = await self.answer(reader)
            self.latencies.append(time.perf_counter() - sent)
            self.firsts.append(first - sent)
        writer.close()

    async def answer(self, reader: asyncio.StreamReader) -> float:
        """Read one answer and check it; return when its body began."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"load: {head!r}")
        if self.plan.get("stream"):
            return await self.events(reader)
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        first = time.perf_counter()
        answer = json.loads(body)
        assert answer["choices"][0]["message"]["content"].endswith(r"\boxed{7}.")
        return first

    async def events(self, reader: asyncio.StreamReader) -> float:
        first, tail = 0.0, b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            data = await reader.read(65536)
            first = first or time.perf_counter()
            tail = (tail + data)[-64:]
        assert b"data: [DONE]" in tail
        return first

    def request(self, number: int) -> bytes:
        message = {"role": "user", "content": QUESTION % (1000 + number)}
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


async def main() -> None:
    print(json.dumps(await Run(sys.argv[1], json.loads(sys.argv[2])).go()))


if __name__ == "__main__":
    uvloop.run(main())
