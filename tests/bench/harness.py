"""How busy `its-eval run` keeps an engine: its tokens a second against those of a bare load loop.

Run: `python -m tests.bench.harness` (a minute). The engine is a process of 64 slots that streams
100 tokens, one each 20 ms, so 3,200 tokens/s at most; both sides keep 64 calls in flight. Time is
the engine's own, from its first call to its last answer.
"""

import asyncio
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.scripted import chunk, usage

ROOT = Path(__file__).parent.parent.parent
SLOTS, TOKENS, PAUSE, CALLS = 64, 100, 0.02, 640
WORD = chunk(delta={"content": "7 "})
LAST = chunk(delta={"content": "\\boxed{7}"}, finish_reason="stop")


def engine(port: int) -> None:
    """Serve."""
    slots = asyncio.Semaphore(SLOTS)
    times: list[float] = []

    async def words() -> AsyncIterator[bytes]:
        async with slots:
            began = time.monotonic()
            times.append(began)
            for number in range(1, TOKENS):
                yield WORD
                # By the clock, not by sleeping alone: a late wake-up is made up for.
                await asyncio.sleep(max(0, began + number * PAUSE - time.monotonic()))
            yield LAST + chunk(usage=usage(10, TOKENS)) + b"data: [DONE]\n\n"
            times.append(time.monotonic())

    async def seconds(request: Request) -> Response:
        span = max(times) - min(times)
        times.clear()
        return JSONResponse(span)

    async def chat(request: Request) -> Response:
        await request.body()
        return StreamingResponse(words(), media_type="text/event-stream")

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "m", "object": "model"}]})

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/seconds", seconds),
        ]
    )
    uvicorn.run(app, port=port, log_level="error")


def speed(url: str) -> float:
    """Return the tokens a second that the engine gave since it was asked last."""
    return CALLS * TOKENS / float(httpx.get(f"{url}/seconds", trust_env=False).json())


async def bare(url: str) -> None:
    """Ask in a loop that reads and forgets."""
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    todo = iter(range(CALLS))

    async def worker(client: httpx.AsyncClient) -> None:
        for _ in todo:
            async with client.stream("POST", f"{url}/chat/completions", json=body) as answer:
                async for _ in answer.aiter_raw():
                    pass

    limits = httpx.Limits(max_connections=SLOTS, max_keepalive_connections=SLOTS)
    async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:
        await asyncio.gather(*(worker(client) for _ in range(SLOTS)))


def harness(url: str) -> float:
    """Run `its-eval run`; return the CPU seconds of the whole command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            json.dumps({"id": i, "problem": f"What is {i}?", "answer": 7}) for i in range(CALLS)
        ]
        (folder / "p.jsonl").write_text("\n".join(rows) + "\n")
        line = [
            sys.executable, "-m", "eval", "run", str(folder / "p.jsonl"), "--base-url", url,
            "--model", "m", "--concurrency", str(SLOTS), "--out", str(folder / "out"),
        ]  # fmt: skip
        subprocess.run(line, check=True, cwd=ROOT, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the figures."""
    if len(sys.argv) > 1:
        engine(int(sys.argv[1]))
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "tests.bench.harness", str(port)], cwd=ROOT)
    try:
        time.sleep(3)
        url = f"http://127.0.0.1:{port}/v1"
        asyncio.run(bare(url))
        first = speed(url)
        cpu = harness(url)
        ours = speed(url)
        asyncio.run(bare(url))
        second = speed(url)
    finally:
        server.terminate()
        server.wait(10)
    share = ours / ((first + second) / 2)
    print(f"a bare loop {first:,.0f} and {second:,.0f} tokens/s, its-eval {ours:,.0f}: {share:.1%}")
    print(f"CPU of the whole command: {cpu:.1f} s for {CALLS:,} calls of {TOKENS} tokens")


if __name__ == "__main__":
    main()
