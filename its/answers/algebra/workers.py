"""The judge in worker processes: hostile text can cost a worker, never its caller.

The one module of `its` that starts processes; nothing in `its` imports it. A worker is started at
its first use, may hold 512 MB, and gives each expression CPU time, not wall-clock time, so that a
busy machine gives the same verdicts as an idle one. Limits on the size of an expression come
first (`measure`); running out of CPU time is the backstop, and its hits are counted.

A worker reads one JSON line and writes one. The libraries' pools were tried: a worker that dies
idle breaks them for everybody.
"""

import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any

from .judge import Judge, Sample, Unread

MEMORY = 512 << 20
VERDICT_SECONDS = 2.0
"""CPU time for one verdict, which may need several expressions."""

GRACE_SECONDS = 0.5
"""CPU time after which a worker that does not stop, being in one long step of C, is killed."""

BY_ITS_EXPRESSION = (-signal.SIGPROF, -signal.SIGSEGV)
"""How an expression ends a worker: no time left in a long step of C, or too deep for its stack."""

REMEMBERED = 4096
TASKS_OF_A_WORKER = 2_000
"""Then a worker is replaced: the grammar's caches grow."""


class _Lost(Exception):
    """A worker could not be started, or died for no fault of its expression."""


class Workers:
    """Evaluates expressions in up to `processes` processes.

    `judge()` gives the judge of one verdict; it may be called from several threads.
    """

    def __init__(self, processes: int = 1, verdict_seconds: float = VERDICT_SECONDS) -> None:
        self._seconds = verdict_seconds
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._all = [_Worker(verdict_seconds) for _ in range(processes)]
        for worker in self._all:
            self._idle.put(worker)
        self._recall = lru_cache(maxsize=REMEMBERED)(self._evaluate)
        self._counting = threading.Lock()
        self.exhausted = 0
        """Expressions that ran out of CPU time or memory."""

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
        """End all workers, whatever they are doing."""
        for worker in self._all:
            worker.kill()
        returned = [self._idle.get() for _ in self._all]
        for worker in returned:
            worker.end()
            self._idle.put(worker)

    def judge(self) -> Judge:
        """Return a judge for one verdict, which has so much CPU time in all."""
        left = self._seconds
        known: dict[str, Sample | Unread] = {}

        def evaluate(text: str) -> Sample | Unread:
            nonlocal left
            if text not in known:
                if left <= 0:
                    return Unread.EXHAUSTED
                # What another verdict has paid for costs this one the same: no verdict depends
                # on an earlier one.
                try:
                    known[text], seconds = self._recall(text)
                except _Lost:  # remembered for this verdict: the next one asks anew
                    known[text], seconds = self._counted(Unread.EXHAUSTED, self._seconds)
                left -= seconds
            return known[text]

        return evaluate

    def _evaluate(self, text: str) -> tuple[Sample | Unread, float]:
        worker = self._idle.get()
        try:
            return self._counted(*worker.evaluate(text))
        finally:
            self._idle.put(worker)

    def _counted(self, result: Sample | Unread, seconds: float) -> tuple[Sample | Unread, float]:
        if seconds >= self._seconds:
            with self._counting:
                self.exhausted += 1
        return result, seconds


class _Worker:
    """One process, or the place of one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._tasks = 0
        self._closed = False

    def evaluate(self, text: str) -> tuple[Sample | Unread, float]:
        """Return what the process says of `text`; one that died of it says it was exhausted.

        Raises:
            _Lost: the process did not start, or died of something else.
        """
        try:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(text).encode() + b"\n")
            process.stdin.flush()
            return _decoded(json.loads(process.stdout.readline()))
        except (OSError, ValueError, LookupError, TypeError, ArithmeticError):
            # It died while it was written to or read, was closed, or said what is no reply.
            if self.end() not in BY_ITS_EXPRESSION:
                raise _Lost from None
            return Unread.EXHAUSTED, self._seconds

    def kill(self) -> None:
        """End the process at once, and start no other."""
        self._closed = True
        if self._process is not None:
            self._process.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        self._tasks += 1
        dead = self._process is not None and self._process.poll() is not None
        if dead or self._tasks > TASKS_OF_A_WORKER:
            self.end()
        if self._closed:
            raise ValueError("closed")
        if self._process is None:
            self._tasks = 0
            # It finds the modules that this process finds, and none of the user's current folder.
            found = os.pathsep.join(filter(None, sys.path))
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "its.answers.algebra.workers", str(self._seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": found},
                start_new_session=True,  # Ctrl-C is for the caller
            )
        return self._process

    def end(self) -> int | None:
        """End the process if there is one; return its status, which is its own if it was dead."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                _close_quietly(stream)
        return process.wait()


def _close_quietly(stream: Any) -> None:
    try:
        stream.close()
    except OSError:
        return  # what was not sent is of no use any more


def _encoded(result: Sample | Unread, seconds: float) -> dict[str, Any]:
    if isinstance(result, Unread):
        return {"unread": result.value, "seconds": seconds}
    values = [value and [str(part) for part in value] for value in result.values]
    return {
        "values": values,
        "constant": result.constant,
        "size": result.size,
        "digits": result.digits,
        "residues": result.residues,
        "seconds": seconds,
    }


def _decoded(reply: dict[str, Any]) -> tuple[Sample | Unread, float]:
    seconds = float(reply["seconds"])
    if "unread" in reply:
        return Unread(reply["unread"]), seconds
    values = tuple(
        (Decimal(value[0]), Decimal(value[1])) if value else None for value in reply["values"]
    )
    rows, columns = reply["size"]
    residues = None if reply["residues"] is None else tuple(map(int, reply["residues"]))
    sample = Sample(values, reply["constant"], (rows, columns), int(reply["digits"]), residues)
    return sample, seconds


# In the worker ------------------------------------------------------------------------------


class _OutOfTime(BaseException):
    """Not an `Exception`, so that no library on the way swallows it."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise _OutOfTime


def _serve(most: float) -> None:
    """Evaluate what comes on standard input within `most` CPU seconds each, until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGVTALRM, _stop)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the kernel's: it ends the process
    from .measure import measure, warm_up

    warm_up()
    replies, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, most + GRACE_SECONDS)
        signal.setitimer(signal.ITIMER_VIRTUAL, most)
        try:
            result, seconds = measure(json.loads(line)), time.process_time() - started
        except (_OutOfTime, MemoryError):
            result, seconds = Unread.EXHAUSTED, most
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(_encoded(result, seconds)), file=replies, flush=True)


if __name__ == "__main__":
    _serve(float(sys.argv[1]))
