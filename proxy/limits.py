"""How much at once: an engine's slots with a bounded queue, and a request's retry budget."""

import asyncio
import random
from collections import deque
from typing import Protocol

FIRST_PAUSE = 0.25
"""Seconds before the first retry; each further pause is twice as long, give or take a half."""


class Gauge(Protocol):
    """A number that goes up and down."""

    def inc(self) -> None: ...
    def dec(self) -> None: ...


class Full(Exception):
    """The slots are taken and the queue is full."""


class Slots:
    """At most `size` at once; at most `queue` more wait, in the order in which they came.

    `gauge` is told the number that waits.
    """

    def __init__(self, size: int, queue: int, gauge: Gauge) -> None:
        self._free, self._queue, self._gauge = size, queue, gauge
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a slot.

        Raises:
            Full: too many wait already.
        """
        if self._free:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise Full
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._gauge.inc()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the slot was handed over in the same moment
                self.give()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise
        finally:
            self._gauge.dec()

    def give(self) -> None:
        """Give a slot back, to who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Retries:
    """What one request may still repeat, over all its calls: a number, and seconds of waiting."""

    def __init__(self, number: int, seconds: float) -> None:
        self.number, self.seconds = max(0, number), seconds
        self.repeated = False
        """Whether a call was repeated."""
        self._pause = FIRST_PAUSE

    async def wait(self, retry_after: float | None) -> bool:
        """Wait before the next attempt; `False`, at once, where the budget does not allow one."""
        pause = self._pause * random.uniform(0.5, 1.5) if retry_after is None else retry_after
        if self.number < 1 or pause > self.seconds:
            return False
        self.repeated = True
        self.number -= 1
        self.seconds -= pause
        self._pause *= 2
        await asyncio.sleep(pause)
        return True
