"""Steps of a panel's method beside the event loop: in time, within a budget, in turns.

A step runs once, in a thread, because a program cannot be asked twice. Where it compares answers,
the grader (`Grading.judge`) evaluates their expressions in other processes while the thread waits.
Before the first one it rehearses the vote over all answers that are there, so that everything a
vote needs is evaluated at once: one heavy expression does not delay the light ones beside it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from its.answers import Sample, Unread, Watched, cluster
from its.answers.algebra.worker import Evaluated
from its.answers.algebra.workers import Account, Workers
from its.types import Answer

WORKING = 8
"""Threads that run at once; more would keep the event loop waiting for Python's lock."""

THREADS = 64
"""Threads in all: those that wait for a grader do not count as running."""

QUICK_SECONDS = 0.05
"""CPU time that every expression gets; nearly all need a fifth of that."""

SLOW_SECONDS = 1.0
"""CPU time of an expression that needs more, as long as the step has some left."""

REQUEST_SECONDS = 4.0
"""CPU time that all slow expressions of one step have."""

COMPARING_SECONDS = 1.0
"""CPU time that one step has in its thread. Three answers need a thousandth of it; what many models
write may need far more, for each pair, and threads have to be left for other requests."""

GRACE_SECONDS = 0.5
"""After the deadline, for all that is left to do."""

PATIENCE_SECONDS = 1.0
"""How long a step that is out of time may take to notice it: it compares one pair to its end."""

T = TypeVar("T")


class OutOfTime(Exception):
    """A step runs on although its time is up; nothing can be had of its program any more."""


class Graders:
    """What all requests share: `processes` graders, and threads that nobody else uses."""

    def __init__(self, processes: int) -> None:
        self.workers = Workers(processes)
        self.threads = ThreadPoolExecutor(THREADS, "grading")
        self.turns = threading.BoundedSemaphore(WORKING)

    def warm_up(self) -> None:
        """Start one of the processes, which takes a second, before a vote needs it."""
        self.workers.submit("x", QUICK_SECONDS, Account())

    async def close(self) -> None:
        """End the processes and the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        # Not in a thread of theirs, and not here: it waits for each process to end.
        await asyncio.to_thread(self.workers.close)


@dataclass(slots=True)
class _Step:
    """What one step knows of expressions, and the CPU time that it has left."""

    since: float
    answers: Sequence[Answer | None] = ()
    values: dict[str, Sample | Unread] = field(default_factory=dict)
    left: float = REQUEST_SECONDS
    rehearsed: bool = False


class Grading:
    """Reads and compares the answers of one request; `deadline` is monotonic. End it with `close`.

    Two steps over the same answers decide the same, whatever was compared before, because each
    counts its own budget, in an order that depends on the texts alone.
    """

    def __init__(self, graders: Graders, deadline: float) -> None:
        self._threads, self._turns = graders.threads, graders.turns
        self._last = deadline + GRACE_SECONDS
        self._evaluator = _Evaluator(graders, self._last)
        # The judge knows the evaluator, and not the other way round: a cycle for each request
        # would leave its end to the garbage collector, which costs more than a vote.
        self.judge = Watched(self._evaluator.evaluate, self._evaluator.over)
        """The grader that a program compares with; it waits, so it is for threads only."""

    def close(self) -> None:
        """Free the graders; the request has its answer, or nobody waits for one."""
        self._evaluator.close()

    async def run(self, work: Callable[[], T]) -> T | None:
        """Run `work` in a thread; return `None` if it is not done in time."""
        job = self._submit(work)
        if await _done(job, self._last):
            return job.result()
        job.cancel()  # one that runs goes on for a moment, and nobody hears of it
        return None

    async def step(self, work: Callable[[], T], answers: Sequence[Answer | None]) -> T:
        """Return what `work` says, which may compare `answers` with the grader.

        What is not compared in time stays undecided. If no thread is free by then, `work` runs
        here: out of time, it compares nothing that takes long.

        Raises:
            OutOfTime: it does not end, although the time is up.
        """

        def timed() -> T:
            self._evaluator.begin(answers)
            return work()

        job = self._submit(timed)
        if not await _done(job, self._last) and job.cancel():
            return timed()
        if not await _done(job, time.monotonic() + PATIENCE_SECONDS):
            raise OutOfTime
        return job.result()

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        def in_turn() -> T:
            with self._turns:
                return work()

        return self._threads.submit(in_turn)


class _Evaluator:
    """Evaluates the expressions of one request, in the thread of its step."""

    def __init__(self, graders: Graders, last: float) -> None:
        self._workers, self._turns, self._last = graders.workers, graders.turns, last
        self.account = Account()
        self._asked: dict[tuple[str, bool], Future[Evaluated]] = {}
        self._begun: _Step | None = None
        self._ended = False

    def close(self) -> None:
        """Free the graders, if one was asked."""
        self._ended = True
        if self._asked:
            self._workers.leave(self.account)

    def begin(self, answers: Sequence[Answer | None]) -> None:
        """Begin a step over `answers`, with a budget of its own."""
        self._begun = _Step(time.thread_time(), answers)

    @property
    def _step(self) -> _Step:
        """The step that runs; what compares outside of one has a budget of its own."""
        if self._begun is None:
            self.begin(())
        assert self._begun is not None
        return self._begun

    def over(self) -> bool:
        """Tell whether nothing more may be compared; asked in the thread of the step."""
        used = time.thread_time() - self._step.since
        return self._ended or time.monotonic() >= self._last or used >= COMPARING_SECONDS

    def evaluate(self, text: str) -> Sample | Unread:
        """Return the values of `text`; the first of a step has all that a vote needs evaluated."""
        step = self._step
        if text not in step.values and not step.rehearsed:
            step.rehearsed = True
            self._rehearse(step)
        if text not in step.values:
            self._need(step, {text})
        return step.values[text]

    def _rehearse(self, step: _Step) -> None:
        """Evaluate what a vote over the answers needs, until nothing is missing.

        The values of two answers may ask for that of their difference, so it goes in rounds.
        """
        missing: set[str] = set()

        def known(text: str) -> Sample | Unread:
            if text not in step.values:
                missing.add(text)
            return step.values.get(text, Unread.EXHAUSTED)

        while not self.over():
            cluster(step.answers, Watched(known, self.over))
            if not missing:
                return
            self._need(step, missing)
            missing.clear()

    def _need(self, step: _Step, texts: Iterable[str]) -> None:
        """Evaluate `texts`, all at once; then the heavy ones in turn, while there is CPU time."""
        ordered = sorted(texts, key=_order)
        quick = {text: self._ask(text, slow=False) for text in ordered}
        self._await(quick.values())
        heavy = []
        for text, future in quick.items():
            found = future.result() if future.done() else _NOTHING
            step.values[text] = found.found
            if found.out:
                heavy.append(text)
        for text in heavy:
            if step.left <= 0 or self.over():
                return
            slow = self._ask(text, slow=True)
            self._await([slow])
            if slow.done():
                step.values[text] = slow.result().found
                step.left -= slow.result().seconds

    def _ask(self, text: str, *, slow: bool) -> Future[Evaluated]:
        if (text, slow) not in self._asked:
            seconds = SLOW_SECONDS if slow else QUICK_SECONDS
            self._asked[text, slow] = self._workers.submit(text, seconds, self.account, slow=slow)
        return self._asked[text, slow]

    def _await(self, futures: Iterable[Future[Evaluated]]) -> None:
        """Wait in the thread, while another one may run."""
        waiting = [future for future in futures if not future.done()]
        left = self._last - time.monotonic()
        if not waiting or left <= 0 or self._ended or not _in_thread():
            return
        self._turns.release()
        try:
            wait(waiting, timeout=left)
        finally:
            self._turns.acquire()


_NOTHING = Evaluated(Unread.EXHAUSTED, 0.0)


def _in_thread() -> bool:
    """Tell whether this is not the event loop, which must never wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


async def _done(job: Future[T], until: float) -> bool:
    """Wait for `job` until then and tell whether it is done; it goes on if this is cancelled.

    The thread's own future is the one to cancel: asyncio's says that it was, whatever runs.
    """
    if not job.done():
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        job.add_done_callback(lambda _: _call_soon(loop, done.set))
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), max(0.0, until - time.monotonic()))
    return job.done()


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and nobody waits
        loop.call_soon_threadsafe(call)


def _order(text: str) -> tuple[int, str]:
    return len(text), text
