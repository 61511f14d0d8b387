"""How much at once: slots of engines and keys with bounded queues, and a request's retries."""

import asyncio
import random
from collections import OrderedDict, deque
from typing import Protocol

from .tokens import TokenRate

FIRST_PAUSE = 0.25
"""Seconds before the first retry; each further pause is twice as long, give or take a half."""


class Gauge(Protocol):
    """A number that goes up and down."""

    def inc(self) -> None: ...
    def dec(self) -> None: ...


class Full(Exception):
    """The slots are taken and the queue is full; the text says whose."""


class Slots:
    """At most `size` calls at once; those of at most `queue` requests wait.

    A request whose calls wait has one place in the queue, so that they never keep each other out,
    and one that was let in once waits whatever the queue. Requests take turns: a slot that becomes
    free goes to the next request, not to the next call of the same one. `gauge` is told the number
    of calls that wait; `name` is whose slots they are, for the refusal.
    """

    def __init__(self, name: str, size: int, queue: int, gauge: Gauge) -> None:
        self.name, self.size = name, size
        self._free, self._queue, self._gauge = size, queue, gauge
        self._waiting: OrderedDict[Retries, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def running(self) -> int:
        """How many calls have a slot."""
        return self.size - self._free

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return sum(map(len, self._waiting.values()))

    async def take(self, request: "Retries") -> None:
        """Wait for a slot for one call of `request`.

        Raises:
            Full: too many others wait already.
        """
        # No await before this: what is free now is ours, without a lock.
        if self._free:
            self._free -= 1
            request.admitted.add(self)
            return
        if self not in request.admitted and len(self._waiting) >= self._queue:
            raise Full(
                f"{self.name} has {self.size} calls running, which is all that may, and its queue"
                f" of {self._queue} requests is full"
            )
        request.admitted.add(self)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request, deque()).append(turn)
        self._gauge.inc()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the slot was handed over in the same moment
                self.give()
            else:
                self._forget(request, turn)
            raise
        finally:
            self._gauge.dec()

    def give(self) -> None:
        """Give a slot back, to the request whose turn it is."""
        while self._waiting:
            request, turns = self._waiting.popitem(last=False)
            while turns:
                turn = turns.popleft()
                # A waiter that was cancelled in this moment is done, but still in the queue.
                if not turn.done():
                    turn.set_result(None)
                    if turns:
                        self._waiting[request] = turns  # behind the others
                    return
        self._free += 1

    def _forget(self, request: "Retries", turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(request)
        if turns is not None and turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[request]


class Retries:
    """What one request may still repeat, over all its calls: a number, and seconds of waiting.

    It is also what slots know a request by. `key` are the slots of the key that asks, if that is
    limited; each call takes one of them first, and then one of its engine. `tokens` counts what the
    calls spend, if the key's tokens are limited.
    """

    def __init__(
        self,
        number: int,
        seconds: float,
        key: Slots | None = None,
        tokens: TokenRate | None = None,
    ) -> None:
        self.number, self.seconds, self.key = max(0, number), seconds, key
        self.tokens = tokens
        self.admitted: set[Slots] = set()
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
