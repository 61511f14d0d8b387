"""How fast answers are compared, and what that costs the event loop.

Run: `PYTHONPATH=. python tests/bench_answers.py`. Not a test: nothing is asserted, and the times
are this machine's, in one process unless said.
"""

import asyncio
import sys
import time

from its.answers import cluster, compare, parse
from its.answers.algebra.workers import Workers
from its.methods import Call, Reply
from its.methods.votes import vote
from proxy.serving.server import SWITCH_SECONDS

HOSTILE = rf"\frac{{1}}{{{'(' * 6}x+%d{')' * 6}}}" + "+x" * 60


def integers() -> None:
    answers = [parse(rf"{n % 1000}") for n in range(1000)]
    pairs = [(a, b) for a in answers for b in answers[:200] if a and b]
    started = time.perf_counter()
    for a, b in pairs:
        compare(a, b)
    print(f"integers: {len(pairs) / (time.perf_counter() - started):,.0f} comparisons/s")


def clusters() -> None:
    answers = [parse(str(n % 7)) for n in range(64)]
    started = time.perf_counter()
    for _ in range(100):
        cluster(answers)
    print(f"64 integer ballots: {(time.perf_counter() - started) * 10:.2f} ms a clustering")


def hostile(workers: Workers) -> None:
    answers = [parse(HOSTILE % n) for n in range(64)]
    started, cpu = time.perf_counter(), time.process_time()
    groups = cluster(answers, workers.judge())
    print(
        f"64 hostile ballots: {len(groups)} clusters, {time.perf_counter() - started:.2f} s,"
        f" {time.process_time() - cpu:.2f} s CPU of this process"
    )


async def loop_lag(workers: Workers) -> None:
    """Decide votes in a thread as the panel does; watch how late a 1 ms timer fires."""
    lags: list[float] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - before - 0.001)

    for name, text in (("hostile", HOSTILE), ("square roots", r"\sqrt{%d}"), ("integers", "%d")):
        done.clear()
        lags.clear()
        watching = asyncio.ensure_future(watch())
        replies = [Reply(Call("m", str(n)), answer=parse(text % n)) for n in range(64)]
        for _ in range(5):
            await asyncio.to_thread(vote, replies, workers.judge(), len(replies))
        done.set()
        await watching
        lags.sort()
        late = [f"{lags[int(len(lags) * share)] * 1000:.1f}" for share in (0.5, 0.99)]
        print(
            f"event loop, votes of 64 {name}: late by {' / '.join(late)} ms (median / 99%),"
            f" at most {lags[-1] * 1000:.1f} ms"
        )


if __name__ == "__main__":
    integers()
    clusters()
    with Workers() as workers:
        workers.judge()("x+1")
        hostile(workers)
        sys.setswitchinterval(SWITCH_SECONDS)
        asyncio.run(loop_lag(workers))
