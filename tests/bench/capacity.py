"""What docker/capacity.py reckons with: CPU and memory of a panel, bytes of a persona.

Run: `python -m tests.bench.capacity` (a minute; `redis-server` must be installed).
"""

import asyncio
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from proxy.contexts.store import RedisStore, StoredPersona
from tests.bench.loopback import WAITS_SECONDS
from tests.bench.proxy import KEY, MEMBER, PANEL, cpu_ms, load, process, rss_mb

CONFIG = """
[server.log]
level = "warning"
[keys.bench]
secret = "env:ITS_BENCH_KEY"
[engines.e]
base_url = "{engine}"
max_concurrency = 8192
"""
PANELS = 400
IN_FLIGHT = 500
PERSONAS = 20_000
PERSONA = (
    "A retired lighthouse keeper who mends clocks and explains each step to a grandchild. " * 3
)


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, port = stack.enter_context(process("-m", "tests.bench.loopback"))
        config = folder / "panels.toml"
        text = CONFIG.format(engine=f"http://127.0.0.1:{port}/v1")
        for model in ("instant", "long", "waits"):
            for strategy in ("similar", "unsimilar", "random"):
                text += MEMBER.format(model=model, strategy=strategy)
            text += PANEL.format(model=model)
        config.write_text(text, "utf-8")
        serve = ("-m", "proxy", "serve", "--config", str(config), "--port", "0")
        pid, address = stack.enter_context(process(*serve, env={"ITS_BENCH_KEY": KEY}))
        for model in ("instant", "long"):
            print(f"{model} answers: {panel_ms(pid, address, model):.2f} ms CPU a panel of three")
        print(f"in flight: {in_flight_kb(pid, address):.0f} KB a panel of three")
    print(f"Redis: {persona_bytes():.0f} bytes a persona")


def panel_ms(pid: int, address: str, model: str) -> float:
    """Return the CPU time of the proxy process for one panel."""
    load(address, f"{model}-vote3", {"connections": 8, "requests": 100})
    before = cpu_ms(pid)
    load(address, f"{model}-vote3", {"connections": 8, "requests": PANELS, "fresh": True})
    return (cpu_ms(pid) - before) / PANELS


def in_flight_kb(pid: int, address: str) -> float:
    """Return the resident memory that a panel takes while its engines work."""
    before = rss_mb(pid)
    how = {"connections": IN_FLIGHT, "requests": IN_FLIGHT, "fresh": True}
    asking = threading.Thread(target=load, args=(address, "waits-vote3", how))
    asking.start()
    time.sleep(WAITS_SECONDS / 2)
    during = rss_mb(pid)
    asking.join()
    return (during - before) * 1000 / IN_FLIGHT


def persona_bytes() -> float:
    """Return what a persona of about 60 tokens takes in Redis, with its key and its end."""
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/redis.sock"
        line = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            socket,
            "--save",
            "",
            "--dir",
            folder,
        ]
        server = subprocess.Popen(line, stdout=subprocess.DEVNULL)
        try:
            while not Path(socket).exists():
                time.sleep(0.05)
            return asyncio.run(_filled(f"unix://{socket}"))
        finally:
            server.terminate()
            server.wait(10)


async def _filled(url: str) -> float:
    from redis.asyncio import Redis

    client, store = Redis.from_url(url), RedisStore(url)
    before = (await client.info("memory"))["used_memory"]
    for number in range(PERSONAS):
        await store.keep(f"{number:064x}", StoredPersona(PERSONA, "generate", "engineering"), None)
    after = (await client.info("memory"))["used_memory"]
    await store.close()
    await client.aclose()
    return float(after - before) / PERSONAS


if __name__ == "__main__":
    main()
