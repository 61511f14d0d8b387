"""The judge in worker processes: hostile text can cost a worker, never its caller.

Nothing in `its` imports this module: it starts processes. Expressions wait here for a worker.
Those who wait take turns: the next expression is of the account that had a worker for the shortest
time, so that one heavy vote delays no light one. Whoever can wait says `slow`, and slow expressions
leave one worker (of two or more) to the quick ones.
"""

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType

from ...recent import Recent
from .judge import Judge, Sample, Unread
from .worker import Evaluated, Worker

VERDICT_SECONDS = 2.0
"""CPU time for one verdict, which may need several expressions."""

MOST_SENT = 4_000
"""Characters of an expression; `measure` evaluates no formula and no quotient that is as long."""

REMEMBERED = 8 << 20
"""Bytes of expressions whose values are kept."""

VALUE = 400
"""Bytes of one value, beside its digits: two decimals and what holds them."""


@dataclass(eq=False, slots=True)
class Account:
    """Whose expressions they are, and for how long these had a worker, its restarts included."""

    seconds: float = 0.0


@dataclass(eq=False, slots=True)
class _Job:
    text: str
    seconds: float
    account: Account
    slow: bool
    result: Future[Evaluated] = field(default_factory=Future)

    def answer(self, evaluated: Evaluated) -> None:
        if not self.result.done():
            self.result.set_result(evaluated)


_LOST = Evaluated(Unread.EXHAUSTED, 0.0, lost=True)


class Workers:
    """Evaluates expressions in up to `processes` processes, each started when it is needed.

    `judge()` gives the judge of one verdict; `submit` is for who cannot wait in a thread. Both
    may be called from several threads.
    """

    def __init__(self, processes: int = 1, verdict_seconds: float = VERDICT_SECONDS) -> None:
        self._seconds, self._most = verdict_seconds, processes
        self._workers: list[Worker] = []
        self._threads: list[threading.Thread] = []
        self._idle = self._ready = 0
        self._changed = threading.Condition()
        self._waiting: dict[bool, dict[Account, deque[_Job]]] = {False: {}, True: {}}
        self._running: dict[_Job, Worker] = {}
        self._closed = False
        self._known: Recent[str, Evaluated] = Recent(REMEMBERED)
        self.exhausted = 0
        """Expressions without values: for want of CPU time, of memory, or of a worker."""

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, whatever they are doing; what waits is answered as exhausted."""
        with self._changed:
            self._closed = True
            waiting = [job for kind in self._waiting.values() for jobs in kind.values()
                       for job in jobs]  # fmt: skip
            self._waiting = {False: {}, True: {}}
            self._changed.notify_all()
            for worker in self._workers:
                worker.kill()
        for job in waiting:
            job.answer(_LOST)
        for thread in self._threads:
            thread.join()

    def judge(self) -> Judge:
        """Return a judge for one verdict, which has so much CPU time in all, and waits for it."""
        left = self._seconds
        known: dict[str, Sample | Unread] = {}
        account = Account()

        def evaluate(text: str) -> Sample | Unread:
            nonlocal left
            if text not in known:
                if left <= 0:
                    return Unread.EXHAUSTED
                # What another verdict has paid for costs this one the same: no verdict depends
                # on an earlier one. What was lost is kept for this verdict: the next asks anew.
                evaluated = self.submit(text, self._seconds, account).result()
                known[text] = evaluated.found
                left -= evaluated.seconds
            return known[text]

        return evaluate

    def submit(
        self, text: str, seconds: float, account: Account, *, slow: bool = False
    ) -> Future[Evaluated]:
        """Evaluate `text` within `seconds` of CPU time, when it is the turn of `account`."""
        job = _Job(text, seconds, account, slow)
        if len(text) > MOST_SENT:  # a worker would say the same
            job.answer(Evaluated(Unread.EXHAUSTED, 0.0))
        elif found := self._found(text, seconds):
            job.answer(found)
        else:
            self._enqueue(job)
        return job.result

    def _found(self, text: str, seconds: float) -> Evaluated | None:
        with self._changed:
            known = self._known.get(text)
        return _within(known, seconds) if known else None

    def leave(self, account: Account) -> None:
        """Give up what `account` still waits for; its workers are free for others."""
        with self._changed:
            waiting = [job for kind in self._waiting.values() for job in kind.pop(account, ())]
            running = [job for job in self._running if job.account is account]
            for job in running:
                # Under the lock: a moment later the worker may evaluate somebody else's.
                self._running[job].interrupt()
        for job in waiting:
            job.answer(_LOST)

    def _enqueue(self, job: _Job) -> None:
        with self._changed:
            if self._closed:
                job.answer(_LOST)
                return
            self._waiting[job.slow].setdefault(job.account, deque()).append(job)
            # A slow one needs a second worker beside it.
            wanted = not self._idle or (job.slow and len(self._workers) < 2)
            if wanted and len(self._workers) < self._most:
                self._hire()
            self._changed.notify()

    def _hire(self) -> None:
        worker = Worker()
        thread = threading.Thread(target=self._work, args=[worker], daemon=True)
        self._workers.append(worker)
        self._threads.append(thread)
        thread.start()

    def _work(self, worker: Worker) -> None:
        """Have `worker` evaluate one expression after the other, until all is closed."""
        while job := self._take(worker):
            started = time.monotonic()
            evaluated = worker.evaluate(job.text, job.seconds)
            with self._changed:
                del self._running[job]
                self._ready -= 1
                job.account.seconds += time.monotonic() - started
                self.exhausted += evaluated.out or evaluated.lost
                if not evaluated.lost:
                    self._known.keep(job.text, evaluated, _size(job.text, evaluated))
            job.answer(evaluated)
        worker.end()

    def _take(self, worker: Worker) -> _Job | None:
        """Wait for the next expression, once there is a process: nothing waits for its start."""
        if not self._closed:
            worker.prepare()
        with self._changed:
            self._ready += 1
            self._changed.notify_all()  # a slow one may have waited for this
            while not self._closed:
                if job := self._next():
                    self._running[job] = worker
                    return job
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
        return None

    def _next(self) -> _Job | None:
        """Return whose turn it is: the least served first, quick before slow."""
        for slow, waiting in self._waiting.items():
            if not waiting or (slow and not self._may_be_slow()):
                continue
            account = min(waiting, key=lambda account: account.seconds)
            jobs = waiting[account]
            job = jobs.popleft()
            if not jobs:
                del waiting[account]
            return job
        return None

    def _may_be_slow(self) -> bool:
        """Tell whether a worker stays ready for quick expressions, if there is more than one."""
        slow = sum(job.slow for job in self._running)
        return self._most == 1 or self._ready - slow >= 2


def _within(known: Evaluated, seconds: float) -> Evaluated | None:
    """Return what an evaluation within `seconds` says, if an earlier one tells."""
    if known.out:
        return Evaluated(known.found, seconds, out=True) if seconds <= known.seconds else None
    return known if known.seconds <= seconds else Evaluated(Unread.EXHAUSTED, seconds, out=True)


def _size(text: str, evaluated: Evaluated) -> int:
    found = evaluated.found
    values = len(found.values) * (VALUE + found.digits) if isinstance(found, Sample) else 0
    return 4 * len(text) + values
