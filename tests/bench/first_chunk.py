"""How long after the engine a client sees the first word of a written answer.

Run: `python -m tests.bench.first_chunk` (half a minute; `make bench` runs it too). `synthesize` and
`refine` stream their last call through OpenAI's SDK. Engine, proxy and client are processes that
share the machine and its monotonic clock: the engine notes when it hands its first chunk of content
to its socket, the client when the SDK yields the first content.
"""

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from its.methods import prompts
from tests.scripted import chunk, completion, usage

ROOT = Path(__file__).parent.parent.parent
WANTED_MS = 50.0
REQUESTS = 40
WORDS, PAUSE = 20, 0.005
CONFIG = """
[server.log]
level = "warning"
[engines.e]
base_url = "{engine}/v1"
[members.s]
engine = "e"
model = "m"
strategy = "similar"
[members.n]
engine = "e"
model = "m"
strategy = "none"
[panels.synthesize]
members = ["s"]
samples = 3
method = "synthesize"
[panels.synthesize.options]
writer = "n"
[panels.refine]
members = ["s"]
samples = 3
method = "refine"
[panels.refine.options]
rounds = 1
writer = "n"
"""


def engine(port: int) -> None:
    """Serve: drafts and notes come whole and at once, what a client will read word by word."""
    firsts: list[float] = []

    async def words() -> AsyncIterator[bytes]:
        for number in range(WORDS):
            if number == 0:
                firsts.append(time.monotonic())
            yield chunk(delta={"content": "seven "}, usage=usage(10, number + 1))
            await asyncio.sleep(PAUSE)
        yield chunk(finish_reason="stop") + b"data: [DONE]\n\n"

    async def chat(request: Request) -> Response:
        body = await request.json()
        asked = str(body["messages"][-1]["content"])
        if body.get("stream") and (prompts.SYNTHESIZE in asked or prompts.AGAIN in asked):
            return StreamingResponse(words(), media_type="text/event-stream")
        return JSONResponse(completion("Three and four are seven: \\boxed{7}"))

    async def first(request: Request) -> Response:
        return JSONResponse(firsts.pop())

    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/models", lambda _: JSONResponse({"data": [{"id": "m"}]})),
        Route("/first", first),
    ]
    uvicorn.run(Starlette(routes=routes), port=port, log_level="error")


def added_ms(client: openai.OpenAI, engine_url: str, panel: str) -> float:
    """Ask once; return how long after the engine the first content came (ms)."""
    stream = client.chat.completions.create(
        model=panel, messages=[{"role": "user", "content": "What is 3 + 4?"}], stream=True
    )
    seen, said = 0.0, ""
    for event in stream:
        for choice in event.choices:
            if choice.delta.content:
                seen = seen or time.monotonic()
                said += choice.delta.content
    assert said.split() == ["seven"] * WORDS, said
    return (seen - float(httpx.get(f"{engine_url}/first", trust_env=False).json())) * 1000


@contextmanager
def running(*line: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *line], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def main() -> int:
    """Print a table; 1 if a median is above the limit."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, running("tests.bench.first_chunk", str(port)):
        config = Path(name) / "panels.toml"
        config.write_text(CONFIG.format(engine=url), "utf-8")
        with running("proxy", "serve", "--config", str(config), "--port", "0") as proxy:
            assert proxy.stdout is not None
            address = proxy.stdout.readline().split()[-1]
            _wait(url)
            client = openai.OpenAI(base_url=address, api_key="none", max_retries=0)
            for panel in ("synthesize", "refine"):
                added_ms(client, url, panel)  # what is imported lazily is not measured
                found[panel] = sorted(added_ms(client, url, panel) for _ in range(REQUESTS))
    print("| method | first content after the engine's, ms: median | 95% | most |")
    print("|---|--:|--:|--:|")
    for panel, each in found.items():
        high = each[int(0.95 * len(each))]
        print(f"| `{panel}` | {statistics.median(each):.1f} | {high:.1f} | {each[-1]:.1f} |")
    return int(any(statistics.median(each) > WANTED_MS for each in found.values()))


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            httpx.get(f"{url}/v1/models", trust_env=False)
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the engine did not start")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        engine(int(sys.argv[1]))
    else:
        raise SystemExit(main())
