"""Reading and comparing answers beside the event loop: in time, within a budget, in turns.

A comparison is a pure function that asks a judge for the values of expressions. It runs in a
thread, and never waits there: what the judge does not know yet is evaluated by the graders, while
other requests have the thread, and then the comparison runs again. So one heavy expression delays
neither the light ones beside it nor other requests.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from its.answers import Judge, Sample, Unread, Watched
from its.answers.algebra.worker import Evaluated
from its.answers.algebra.workers import Account, Workers
from its.answers.faults import FAULTS

THREADS = 8
"""For work that lasts milliseconds; more would keep the event loop waiting for Python's lock."""

QUICK_SECONDS = 0.05
"""CPU time that every expression gets; nearly all need a fifth of that."""

SLOW_SECONDS = 1.0
"""CPU time of an expression that needs more, as long as the request has some left."""

REQUEST_SECONDS = 4.0
"""CPU time that all slow expressions of one decision have."""

COMPARING_SECONDS = 1.0
"""CPU time that one decision has in its threads. Three answers need a thousandth of it; what many
models write may need far more, for each pair, and threads have to be left for other requests."""

GRACE_SECONDS = 0.5
"""After the deadline, for all that is left to do."""

T = TypeVar("T")
J = TypeVar("J", bound=Judge | None)


class Graders:
    """What all requests share: `processes` graders, and threads that nobody else uses."""

    def __init__(self, processes: int) -> None:
        self.workers = Workers(processes)
        self.threads = ThreadPoolExecutor(THREADS, "grading")

    def warm_up(self) -> None:
        """Start one of the processes, which takes a second, before a vote needs it."""
        self.workers.submit("x", QUICK_SECONDS, Account())

    async def close(self) -> None:
        """End the processes and the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        # Not in a thread of theirs, and not here: it waits for each process to end.
        await asyncio.to_thread(self.workers.close)


@dataclass(frozen=True, slots=True)
class Compared(Generic[T]):
    """What a comparison said, and the number of texts that it could not compare.

    `value` is `None` where it raised an error, or was not done in time.
    """

    value: T | None
    undecided: int


@dataclass(slots=True)
class _Known:
    """What is known of the expressions of one decision, and the CPU time that it has left."""

    values: dict[str, Sample | Unread] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    heavy: set[str] = field(default_factory=set)
    left: float = REQUEST_SECONDS

    def __call__(self, text: str) -> Sample | Unread:
        if text not in self.values:
            self.missing.add(text)
        return self.values.get(text, Unread.EXHAUSTED)


class _ThreadClock:
    """Counts the CPU time of work that runs in threads, one piece after the other."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._since: float | None = None

    def run(self, work: Callable[[], T]) -> T:
        self._since = time.thread_time()
        try:
            return work()
        finally:
            self._left -= time.thread_time() - self._since
            self._since = None

    @property
    def over(self) -> bool:
        """Whether the time is used up; while work runs, only its own thread gets an answer."""
        since = self._since  # work that nobody waits for may end in this moment
        return (0.0 if since is None else time.thread_time() - since) >= self._left


class Grading:
    """Reads and compares the answers of one request; `deadline` is monotonic. End it with `close`.

    Two decisions over the same answers are equal, whatever was compared before, because each
    counts its own budget, in an order that depends on the texts alone.
    """

    def __init__(self, graders: Graders, deadline: float) -> None:
        self._workers, self._threads = graders.workers, graders.threads
        self._deadline, self._last = deadline, deadline + GRACE_SECONDS
        self._account = Account()
        self._asked: dict[tuple[str, bool], asyncio.Future[Evaluated]] = {}
        self._newest: object = None
        """The comparison that counts; one that runs in a thread ends when it is not its own."""

    def close(self) -> None:
        """Free the graders; the request has its answer, or nobody waits for one."""
        self._newest = None
        self._workers.leave(self._account)

    async def run(self, work: Callable[[], T]) -> T | None:
        """Run `work` in a thread; return `None` if it is not done in time."""
        return await self._thread(work, self._last)

    async def settled(self, work: Callable[[Judge], bool]) -> bool:
        """Tell whether `work` says yes before the deadline, as soon as it does."""
        compared = await self._compare(work, self._deadline, early=True)
        return bool(compared.value)

    async def decided(self, work: Callable[[Judge], T]) -> Compared[T]:
        """Return what `work` says when all is compared, or time is up.

        `work` ends soon after its judge is out of time, with what it has by then.
        """
        return await self._compare(work, self._last, early=False)

    async def _compare(
        self, work: Callable[[Judge], T], until: float, *, early: bool
    ) -> Compared[T]:
        known, clock = _Known(), _ThreadClock(COMPARING_SECONDS)
        self._newest = newest = object()

        def over() -> bool:
            return self._newest is not newest or time.monotonic() >= until or clock.over

        while True:
            judge = Watched(known, over)
            value = await self._thread(partial(clock.run, partial(safely, work, judge)), until)
            missing, known.missing = known.missing, set()
            nothing_left = clock.over or not (missing or known.heavy)
            if nothing_left or time.monotonic() >= until or (early and value):
                return Compared(value, len(judge.undecided))
            await self._quick(known, missing, until)
            if known.heavy and not (early and missing):
                await self._slow(known, until)

    async def _quick(self, known: _Known, texts: set[str], until: float) -> None:
        """Evaluate `texts`, all at once; those that need longer become `known.heavy`."""
        asked = {text: self._evaluate(text, slow=False) for text in sorted(texts, key=_order)}
        await _wait(asked.values(), until)
        for text, future in asked.items():
            known.values[text] = Unread.EXHAUSTED
            if future.done():
                evaluated = future.result()
                known.values[text] = evaluated.found
                if evaluated.out:
                    known.heavy.add(text)

    async def _slow(self, known: _Known, until: float) -> None:
        """Evaluate what is heavy, one after the other, while there is CPU time left."""
        heavy, known.heavy = sorted(known.heavy, key=_order), set()
        for text in heavy:
            if known.left <= 0 or time.monotonic() >= until:
                return
            future = self._evaluate(text, slow=True)
            await _wait([future], until)
            if future.done():
                known.values[text] = future.result().found
                known.left -= future.result().seconds

    def _evaluate(self, text: str, *, slow: bool) -> asyncio.Future[Evaluated]:
        if (text, slow) not in self._asked:
            seconds = SLOW_SECONDS if slow else QUICK_SECONDS
            job = self._workers.submit(text, seconds, self._account, slow=slow)
            self._asked[text, slow] = asyncio.wrap_future(job)
        return self._asked[text, slow]

    async def _thread(self, work: Callable[[], T], until: float) -> T | None:
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        await _wait([future], until)
        if future.done():
            return future.result()
        future.cancel()  # one that runs goes on for a moment, and nobody hears of it
        return None


async def _wait(futures: Iterable[asyncio.Future[T]], until: float) -> None:
    """Wait for all `futures` until then; they go on if this is cancelled."""
    waiting = [future for future in futures if not future.done()]
    if waiting:
        await asyncio.wait(waiting, timeout=max(0.0, until - time.monotonic()))


def safely(work: Callable[[J], T], judge: J) -> T | None:
    """Return what `work` says, or `None` where it raises an error, which is counted."""
    try:
        return work(judge)
    except Exception as error:  # a method met text that its author did not think of
        FAULTS.note("method", type(error).__name__)
        return None


def _order(text: str) -> tuple[int, str]:
    return len(text), text
