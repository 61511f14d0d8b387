"""What a context costs at run time, and how busy `its-sft personas` keeps an engine.

Run: `python tests/bench/personas.py` (about three minutes; needs redis-server for Redis' rows).
The engine of the second part is a process with 64 slots that takes 1 s for each persona; it is
asked by a bare loop of 128 calls at once, then by the command, which must find that out by itself.
"""

import asyncio
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from its.personas.bank import load
from its.strategies import Options, Shelf
from its.types import Layout
from proxy.config.settings import Member, StoreSettings
from proxy.contexts.chats import Chats
from proxy.contexts.personas import ContextChooser
from proxy.contexts.store import StoredPersona, open_store
from proxy.telemetry.metrics import Metrics
from tests.scripted import completion

ROOT = Path(__file__).parent.parent.parent
SLOTS, SECONDS, BARE = 64, 1.0, 128
ROWS = 4000
HITS = 4000


async def in_memory() -> float:
    """Return the CPU of a context that is in memory, in ms."""
    from its.manifest import CoDesign

    member = Member("m", "e", "m", "similar", Layout(), None, False, False, frozenset(), Options(),
                    CoDesign.UNVERIFIED)  # fmt: skip
    contexts = ContextChooser(Shelf(load()), 0, None, Metrics(), Chats())
    await contexts.ask(member, "How many?")
    began = time.process_time()
    for _ in range(HITS):
        await contexts.ask(member, "How many?")
    return (time.process_time() - began) * 1000 / HITS


async def in_store(url: str) -> tuple[float, float]:
    """Return p50 and p99 of a hit, in ms, one at a time."""
    store = open_store(StoreSettings(url, 10_000))
    for i in range(1000):
        await store.keep(
            f"{i:064x}", StoredPersona("You cook for a mountain hut.", "generate", "x"), None
        )
    took = []
    for i in range(HITS):
        began = time.perf_counter()
        assert await store.get(f"{i % 1000:064x}")
        took.append((time.perf_counter() - began) * 1000)
    await store.close()
    return statistics.median(took), statistics.quantiles(took, n=100)[98]


def stores(folder: Path) -> None:
    print(f"in memory: {asyncio.run(in_memory()):.4f} ms CPU a hit")
    p50, p99 = asyncio.run(in_store(f"sqlite:{folder}/p.db"))
    print(f"SQLite: {p50:.3f} ms p50, {p99:.3f} ms p99 a hit")
    if shutil.which("redis-server"):
        port = free_port()
        args = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
        server = subprocess.Popen(["redis-server", *args], stdout=subprocess.DEVNULL)
        try:
            time.sleep(1)
            p50, p99 = asyncio.run(in_store(f"redis://127.0.0.1:{port}/0"))
            print(f"Redis: {p50:.3f} ms p50, {p99:.3f} ms p99 a hit")
        finally:
            server.terminate()
            server.wait(10)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def serve(port: int) -> None:
    """Be the engine."""
    slots = asyncio.Semaphore(SLOTS)

    async def chat(request: Request) -> Response:
        body = await request.json()
        domain = body["messages"][-1]["content"].rpartition("field of ")[2].partition(". ")[0]
        rng = random.Random(body.get("seed"))
        names = " and ".join("".join(rng.choices("abcdefgh", k=6)) for _ in range(3))
        async with slots:
            await asyncio.sleep(SECONDS)
        return JSONResponse(completion(f"You live for {domain} by the sea and tell {names} of it."))

    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="critical")


async def bare(url: str, calls: int) -> float:
    """Return the calls per second of a loop that does nothing else."""
    body = {"model": "m", "messages": [{"role": "user", "content": "field of cooking. "}]}
    left = iter(range(calls))
    limits = httpx.Limits(max_connections=BARE, max_keepalive_connections=BARE)
    async with httpx.AsyncClient(
        base_url=url, limits=limits, timeout=60, trust_env=False
    ) as client:

        async def ask() -> None:
            for _ in left:
                (await client.post("chat/completions", json=body)).raise_for_status()

        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(BARE)))
        return calls / (time.perf_counter() - began)


def job(url: str, folder: Path) -> None:
    """Run the command; print its rate over all and once settled, and its memory."""
    rows, out = folder / "rows.jsonl", folder / "out.jsonl"
    rows.write_text("".join(json.dumps({"problem": f"What is {i}?"}) + "\n" for i in range(ROWS)))
    args = ("personas", rows, "--strategy", "random", "--engine", url, "--model", "m", "--out", out)
    began = time.perf_counter()
    running = subprocess.Popen(
        [sys.executable, "-m", "sft", *map(str, args)], stderr=subprocess.DEVNULL, cwd=ROOT
    )
    part, seen, memory = out.with_name("out.jsonl.part"), [], []
    while running.poll() is None:
        time.sleep(0.25)
        if part.exists():
            seen.append((time.perf_counter(), part.read_bytes().count(b"\n") - 1))
            statm = Path(f"/proc/{running.pid}/statm").read_text().split()
            memory.append(int(statm[1]) * 4096 / 1e6 if statm[0] != "0" else 0)
    whole = ROWS / (time.perf_counter() - began)
    settled = [(at, done) for at, done in seen if ROWS / 4 <= done <= 0.95 * ROWS]
    (first_at, first), (last_at, last) = settled[0], settled[-1]
    rate = (last - first) / (last_at - first_at)
    print(f"the command: {rate:.1f}/s settled, {whole:.1f}/s with start")
    quarter = memory[len(memory) // 4]
    print(f"its memory: {quarter:.0f} MB after a quarter, {max(memory):.0f} MB at most")


def main() -> None:
    if sys.argv[1:2] == ["engine"]:
        serve(int(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stores(folder)
        port = free_port()
        line = [sys.executable, "-m", "tests.bench.personas", "engine", str(port)]
        engine = subprocess.Popen(line, cwd=ROOT)
        try:
            time.sleep(3)
            url = f"http://127.0.0.1:{port}/v1"
            print(f"bare loop of {BARE}: {asyncio.run(bare(url, 1500)):.1f}/s")
            job(url, folder)
            print(f"bare loop of {BARE}: {asyncio.run(bare(url, 1500)):.1f}/s")
        finally:
            engine.terminate()
            engine.wait(10)


if __name__ == "__main__":
    main()
