"""How fast the proxy is, against direct calls and against a proxy without features.

Run: `make bench` (about five minutes; `ARGS=--write` puts the tables into eval/RESULTS.md).
Client, proxy and engine are processes that share the machine. Each row is measured in rounds -
direct, floor, ours, one after the other - and the medians over the rounds are shown, as a machine's
speed changes from minute to minute. CPU is the proxy process's own, from /proc.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = ROOT / "eval" / "RESULTS.md"
START, END = "<!-- bench: proxy -->", "<!-- end of bench: proxy -->"
ROUNDS = 3
SECONDS = 2.0
KEY = "bench-secret"

CONFIG = """
[server.log]
level = "warning"
[keys.bench]
secret = "env:ITS_BENCH_KEY"
[engines.e]
base_url = "{engine}"
"""
MEMBER = '[members.{model}-{strategy}]\nengine = "e"\nmodel = "{model}"\nstrategy = "{strategy}"\n'
PANEL = """
[panels.{model}-vote3]
members = ["{model}-similar", "{model}-unsimilar", "{model}-random"]
early_stop = false
"""


@dataclass(frozen=True)
class Row:
    """One measurement: what is asked of the engine, and of which of our models."""

    about: str
    engine: str
    ours: str
    plan: dict[str, Any]
    floor: bool = True


def plan(connections: int, **more: Any) -> dict[str, Any]:
    return {"connections": connections, "seconds": SECONDS, **more}


ROWS = [
    Row("32 in flight, instant engine, one question", "instant", "instant-similar", plan(32)),
    Row("the same, `random`, questions never seen", "instant", "instant-random",
        plan(32, fresh=True)),
    Row("the same, `similar`, questions never seen", "instant", "instant-similar",
        plan(32, fresh=True)),
    Row("128 in flight, 50 ms engine", "slow", "slow-random", plan(128)),
    Row("1 in flight, instant engine", "instant", "instant-random", plan(1)),
    Row("200-event stream, 1 at a time", "instant", "instant-random", plan(1, stream=True)),
    Row("200-event streams, 8 at once", "instant", "instant-random", plan(8, stream=True)),
    Row("200 events 5 ms apart, 8 at once", "slow", "slow-random", plan(8, stream=True)),
    Row("panel of three, 32 in flight, instant", "instant", "instant-vote3", plan(32), False),
    Row("panel of three, 8 in flight, 50 ms", "slow", "slow-vote3", plan(8), False),
]  # fmt: skip


@contextmanager
def process(*args: str, env: dict[str, str] | None = None) -> Iterator[tuple[int, str]]:
    """Run a server; yield its process id and the last word of what it prints first."""
    running = subprocess.Popen(
        [sys.executable, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
    )
    try:
        assert running.stdout is not None
        yield running.pid, running.stdout.readline().split()[-1]
    finally:
        running.terminate()
        running.communicate(timeout=20)


def load(address: str, model: str, how: dict[str, Any]) -> dict[str, Any]:
    """Run the client as a process of its own; return what it saw."""
    asked = json.dumps({**how, "model": model, "key": KEY})
    done = subprocess.run(
        [sys.executable, HERE / "load.py", address, asked],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class Measured:
    """One side of one round: rates in 1/s, times in ms."""

    rate: float
    cpu: float
    p50: float
    first: float


def measure(address: str, pid: int, model: str, how: dict[str, Any]) -> Measured:
    before = cpu_ms(pid)
    seen = load(address, model, how)
    cpu = (cpu_ms(pid) - before) / seen["requests"]
    middle = len(seen["latencies"]) // 2
    return Measured(
        seen["requests"] / seen["seconds"],
        cpu,
        seen["latencies"][middle] * 1000,
        seen["firsts"][middle] * 1000,
    )


class Bench:
    """The servers, and what was measured of them."""

    def __init__(self, stack: ExitStack) -> None:
        self.engine = stack.enter_context(process(str(HERE / "loopback.py")))
        direct = f"http://127.0.0.1:{self.engine[1]}/v1"
        self.direct = (self.engine[0], direct)
        self.floor = stack.enter_context(process(str(HERE / "floor.py"), direct))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "panels.toml"
        members = [
            MEMBER.format(model=model, strategy=strategy)
            for model in ("instant", "slow")
            for strategy in ("similar", "unsimilar", "random")
        ]
        panels = [PANEL.format(model=model) for model in ("instant", "slow")]
        config.write_text(CONFIG.format(engine=direct) + "".join([*members, *panels]), "utf-8")
        serve = ("-m", "proxy", "serve", "--config", str(config), "--port", "0")
        self.ours = stack.enter_context(process(*serve, env={"ITS_BENCH_KEY": KEY}))

    def row(self, row: Row) -> str:
        """Measure one row; return it as Markdown."""
        rounds = [self._round(row) for _ in range(ROUNDS)]

        def middle(values: list[float]) -> float:
            return statistics.median(values)

        cells = [
            row.about,
            f"{middle([direct.rate for direct, _, _ in rounds]):,.0f}",
            f"{middle([ours.rate / direct.rate for direct, _, ours in rounds]):.2f}",
            f"{middle([ours.cpu for _, _, ours in rounds]):.3f}",
            f"{middle([ours.p50 - direct.p50 for direct, _, ours in rounds]):+.2f}",
            f"{middle([ours.first - direct.first for direct, _, ours in rounds]):+.2f}",
        ]
        floors = [(direct, floor) for direct, floor, _ in rounds if floor is not None]
        if floors:
            cells += [
                f"{middle([floor.rate / direct.rate for direct, floor in floors]):.2f}",
                f"{middle([floor.cpu for _, floor in floors]):.3f}",
            ]
        else:
            cells += ["-", "-"]
        return f"| {' | '.join(cells)} |"

    def _round(self, row: Row) -> tuple[Measured, Measured | None, Measured]:
        direct = measure(self.direct[1], self.direct[0], row.engine, row.plan)
        floor = None
        if row.floor:
            floor = measure(self.floor[1], self.floor[0], row.engine, row.plan)
        return direct, floor, measure(self.ours[1], self.ours[0], row.ours, row.plan)

    def memory(self) -> str:
        """Return the resident memory at rest and after much work."""
        rest = rss_mb(self.ours[0])
        load(self.ours[1], "instant-similar", {"connections": 32, "requests": 1000})
        warm = rss_mb(self.ours[0])
        load(self.ours[1], "instant-similar", {"connections": 32, "requests": 20000, "fresh": True})
        load(self.ours[1], "instant-random", {"connections": 8, "requests": 2000, "stream": True})
        time.sleep(1)
        after = rss_mb(self.ours[0])
        return (
            f"Memory of the proxy process (RSS): {rest:.0f} MB at rest, {warm:.0f} MB after 1,000"
            f" requests, {after:.0f} MB after 20,000 more (each a new question) and 2,000 streams."
        )


COLUMNS = (
    "",
    "direct, 1/s",
    "ours: ratio to direct",
    "ours: CPU ms",
    "p50 added, ms",
    "first byte added, ms",
    "floor: ratio",
    "floor: CPU ms",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|---|{'--:|' * (len(COLUMNS) - 1)}"


def main() -> None:
    with ExitStack() as stack:
        bench = Bench(stack)
        memory = bench.memory()
        rows = [bench.row(row) for row in track(ROWS, "Measuring", console=Console(stderr=True))]
    about = (
        f"`make bench`, Python {platform.python_version()}, {os.cpu_count()} cores shared by"
        f" client, proxy and engine; median of {ROUNDS} rounds of {SECONDS:g} s. A CPU figure is"
        " for one request or one stream. *Floor* is raw ASGI with aiohttp and no feature."
    )
    text = "\n".join([about, "", HEAD, *rows, "", memory])
    print(text)
    if "--write" in sys.argv:
        page = RESULTS.read_text("utf-8")
        before, _, rest = page.partition(START)
        _, _, after = rest.partition(END)
        RESULTS.write_text(f"{before}{START}\n{text}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
