"""Many calls of one engine at once, as many as make it faster, and no more.

An engine's best concurrency is unknown: it is found by doubling while the rate grows, and given up
a little whenever the engine says that it is overloaded.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import TypeVar

FIRST = 8
GAIN = 1.05
"""More calls at once must bring so much more speed to be kept."""

BACK = 0.7
SECONDS = 0.5
"""A rate is measured over so long at least: answers come in waves, a batch at a time."""

PATIENCE = 16
"""Measurements after which a settled pace tries more calls again: engines change."""

T = TypeVar("T")
R = TypeVar("R")


class Pace:
    """How many calls may run at once, between 1 and `most`."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self.limit = self._kept = min(FIRST, most)
        self._best, self._settled, self._cut_at = 0.0, 0, -SECONDS
        self._begin()

    def finished(self) -> None:
        """Count a call that ended well."""
        self._done += 1
        seconds = self._clock() - self._since
        # Every slot has turned over twice: a first wave alone says little about the next.
        if seconds >= SECONDS and self._done >= 2 * self.limit:
            self._judge(self._done / seconds)
            self._begin()

    def overloaded(self) -> None:
        """Count a call that the engine had no room for; many at once are one complaint."""
        now = self._clock()
        if now - self._cut_at >= SECONDS:
            self._cut_at = now
            self.limit = self._kept = max(1, int(self.limit * BACK))
            self._best, self._settled = float("inf"), 0
            self._begin()

    def _begin(self) -> None:
        self._since, self._done = self._clock(), 0

    def _judge(self, rate: float) -> None:
        if rate > GAIN * self._best:
            self._best, self._kept, self._settled = rate, self.limit, 0
            self.limit = min(self._most, 2 * self.limit)
            return
        self.limit = self._kept  # the doubling brought nothing
        self._settled += 1
        if self._settled == PATIENCE:
            self._best, self._settled = 0.0, 0


async def in_parallel(
    jobs: Iterator[T], work: Callable[[T], Awaitable[R]], pace: Pace
) -> AsyncGenerator[R, None]:
    """Yield `work`'s results as they come, `pace.limit` at once; `jobs` is read as it is needed.

    An exception of `work` ends all.
    """
    results: asyncio.Queue[asyncio.Task[R]] = asyncio.Queue()
    running: set[asyncio.Task[R]] = set()
    left = True

    async def call(job: T) -> R:
        return await work(job)

    try:
        while left or running:
            while left and len(running) < pace.limit:
                try:
                    job = next(jobs)
                except StopIteration:
                    left = False
                    break
                # `running` keeps the task alive: the event loop itself holds only a weak reference.
                task = asyncio.create_task(call(job))
                running.add(task)
                task.add_done_callback(results.put_nowait)
            if running:
                task = await results.get()
                running.discard(task)
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
