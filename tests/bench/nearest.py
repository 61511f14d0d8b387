"""The nearest methods of optillm and its_hub, and ours: the same problems, engine and calls.

Run: `python -m tests.bench.nearest --problems $ITS_DATA/gsm8k_test200.jsonl [--number 20]`. Both
are installed once into cached environments; optillm without the packages that its server does not
load. Each side asks `--calls` samples at 0.7 of the embedded engine and votes; optillm's number is
fixed at 5. A relay before the engine counts calls and tokens, for all alike. Our own reader reads
the answers. A stream is asked once: how many chunks hold text, and when the first one came.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from its.answers import compare, read, read_or_parse
from tests.bench.hostile import engine
from tests.environments import environment

ROOT = Path(__file__).parent.parent.parent
ASKED = "\n\nThink step by step, and put your final answer within \\boxed{}."
OPTILLM = (
    *("flask", "cerebras_cloud_sdk", "openai<3", "numpy", "networkx", "z3-solver<=4.15.4.0"),
    *("scikit-learn", "requests", "pyyaml", "math-verify", "aiohttp"),
)
"""What its server imports."""

ITS_HUB = """
import json, sys
from its_hub import OpenAICompatibleLanguageModel, SelfConsistency
import re
def boxed(text):
    found = re.findall(r"\\\\boxed{([^}]*)}", text)
    return found[-1].strip() if found else text
url, calls, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lm = OpenAICompatibleLanguageModel(endpoint=url, api_key="none", model_name="m", temperature=0.7,
                                   max_tokens=tokens)
for question in json.load(sys.stdin):
    found = SelfConsistency(boxed).infer(lm, question, budget=calls)
    print(json.dumps(found["content"] if isinstance(found, dict) else str(found)), flush=True)
"""
CONFIG = """
[engines.e]
base_url = "{url}"
[members.m]
engine = "e"
model = "m"
strategy = "none"
[panels.vote]
members = ["m"]
samples = {calls}
early_stop = false
"""


@dataclass
class Relay:
    """Passes chats on to the engine at `url`, and counts them."""

    url: str
    key: str
    calls: int = 0
    tokens: int = 0
    client: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=3600))

    async def chat(self, request: Request) -> Response:
        body = {**(await request.json()), "stream": False}
        body.pop("stream_options", None)
        headers = {"authorization": f"Bearer {self.key}"}
        got = await self.client.post(f"{self.url}/chat/completions", json=body, headers=headers)
        self.calls += 1
        if got.status_code == 200:
            self.tokens += got.json()["usage"]["completion_tokens"]
        return Response(got.content, got.status_code, media_type="application/json")

    async def models(self, _: Request) -> Response:
        return Response('{"object":"list","data":[{"id":"m"}]}', media_type="application/json")

    def take(self) -> tuple[int, int]:
        """Return the calls and tokens since the last time."""
        found, self.calls, self.tokens = (self.calls, self.tokens), 0, 0
        return found


@contextlib.asynccontextmanager
async def relayed(model: str) -> AsyncIterator[tuple[Relay, str]]:
    """Start the engine and the relay; yield the relay and its address."""
    async with engine(model) as server:
        relay = Relay(server.base_url, server.api_key or "")
        routes = [
            Route("/v1/chat/completions", relay.chat, methods=["POST"]),
            Route("/v1/models", relay.models),
        ]
        port = _free()
        app = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=port, log_level="error"))
        serving = asyncio.create_task(app.serve())
        try:
            yield relay, f"http://127.0.0.1:{port}/v1"
        finally:
            app.should_exit = True
            await serving


@contextlib.contextmanager
def ours(url: str, calls: int) -> Iterator[tuple[str, str]]:
    """Serve our panel; yield its address and its model."""
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "panels.toml"
        config.write_text(CONFIG.format(url=url, calls=calls), "utf-8")
        line = [sys.executable, "-m", "proxy", "serve", "--config", str(config), "--port", "0"]
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], "vote"
        finally:
            process.terminate()
            process.communicate(timeout=30)


@contextlib.contextmanager
def optillm(url: str) -> Iterator[tuple[str, str]]:
    """Serve optillm's self-consistency; yield its address and its model."""
    python = environment("optillm", "0.4.0", *OPTILLM, bare=True)
    port = _free()
    line = [str(python), "-m", "optillm.server", "--base-url", url, "--port", str(port),
            "--approach", "self_consistency", "--log", "error"]  # fmt: skip
    process = subprocess.Popen(line, env={**os.environ, "OPENAI_API_KEY": "none"})
    try:
        _wait(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}/v1", "self_consistency-m"
    finally:
        process.terminate()
        process.wait(30)


def ask_all(address: str, model: str, questions: Sequence[str], tokens: int) -> list[str]:
    """Return an answer to each question, asked one after the other by OpenAI's SDK."""
    client = openai.OpenAI(base_url=address, api_key="none", max_retries=0, timeout=3600)
    return [
        client.chat.completions.create(
            model=model, messages=_said(question), temperature=0.7, max_tokens=tokens
        ).choices[0].message.content or ""
        for question in questions
    ]  # fmt: skip


def streamed(address: str, model: str, question: str, tokens: int) -> str:
    """Return what a streaming client sees."""
    client = openai.OpenAI(base_url=address, api_key="none", max_retries=0, timeout=3600)
    began, first, chunks, role = time.monotonic(), 0.0, 0, 0.0
    for event in client.chat.completions.create(
        model=model, messages=_said(question), temperature=0.7, max_tokens=tokens, stream=True
    ):
        role = role or time.monotonic() - began
        if event.choices and event.choices[0].delta.content:
            first, chunks = first or time.monotonic() - began, chunks + 1
    return f"head after {role:.1f} s, text after {first:.1f} s in {chunks} chunk(s)"


def its_hub(url: str, questions: Sequence[str], calls: int, tokens: int) -> list[str]:
    python = environment("its_hub[lm]", "1.2.0")
    done = subprocess.run(
        [python, "-c", ITS_HUB, url, str(calls), str(tokens)],
        input=json.dumps(questions), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-1000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def _said(question: str) -> Any:
    return [{"role": "user", "content": question}]


def _right(answers: Sequence[str], gold: Sequence[str]) -> int:
    pairs = zip(answers, gold, strict=True)
    return sum(_equal(said, right) for said, right in pairs)


def _equal(said: str, right: str) -> bool:
    found, wanted = read({"content": said}), read_or_parse(right)
    return found is not None and wanted is not None and compare(found, wanted).name == "EQUAL"


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait(url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--number", type=int, default=20)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--sides", nargs="+", default=["ours", "optillm", "its_hub"])
    options = parser.parse_args()
    async with relayed(options.model) as (relay, url):
        await asyncio.to_thread(measure, relay, url, options)


def measure(relay: Relay, url: str, options: argparse.Namespace) -> None:
    """Ask every side, in a thread: the relay has the event loop."""
    rows = [json.loads(line) for line in options.problems.read_text("utf-8").splitlines()]
    rows = rows[: options.number]
    questions, gold = [row["problem"] + ASKED for row in rows], [str(row["answer"]) for row in rows]
    print("| | right | calls | completion tokens | seconds | a streaming client gets |")
    print("|---|--:|--:|--:|--:|---|")
    for side in options.sides:
        if side == "its_hub":
            began = time.monotonic()
            said = its_hub(url, questions, options.calls, options.tokens)
            seconds, used = time.monotonic() - began, relay.take()
            stream = "a library; its gateway refuses `stream`"
        else:
            with ours(url, options.calls) if side == "ours" else optillm(url) as (at, model):
                began = time.monotonic()
                said = ask_all(at, model, questions, options.tokens)
                seconds, used = time.monotonic() - began, relay.take()
                stream = streamed(at, model, questions[0], options.tokens)
                relay.take()
        right = f"{_right(said, gold)}/{len(rows)}"
        print(
            f"| {side} | {right} | {used[0]} | {used[1]:,} | {seconds:.0f} | {stream} |", flush=True
        )


if __name__ == "__main__":
    asyncio.run(main())
