"""One grader process, from both sides: `Worker` starts it and asks; `_serve` answers in it.

A worker may hold 512 MB, and each expression has CPU time, not wall-clock time, so that a busy
machine gives the same verdicts as an idle one. Limits on the size of an expression come first
(`measure`); running out of CPU time is the backstop, and its hits are counted.

It reads one JSON line and writes one. The libraries' pools were tried: a worker that dies idle
breaks them for everybody.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from types import FrameType
from typing import Any

from ..faults import FAULTS
from .judge import Sample, Unread

MEMORY = 512 << 20

GRACE_SECONDS = 0.5
"""CPU time after which a worker that does not stop, being in one long step of C, is killed."""

NEARLY = 0.9
"""The interval timer and the clock of a process do not agree to the last millisecond."""

BY_ITS_EXPRESSION = (-signal.SIGPROF, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGFPE)
"""How an expression ends a worker: no time left in a long step of C, too deep for its stack, or
more than a library of C can count (GMP aborts)."""

TASKS_OF_A_WORKER = 2_000
"""Then a worker is replaced: the grammar's caches grow."""

PREPARE_SECONDS = 5.0
START_PAUSES = (0.05, 0.25)
"""Seconds before a process that could not be started is tried again: the lack may pass."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an expression is, and the CPU seconds that it took.

    `out`: it ran out of the seconds that it had; with more it may have values. `lost`: it was not
    evaluated, for no fault of its own.
    """

    found: Sample | Unread
    seconds: float
    out: bool = False
    lost: bool = False


class Worker:
    """One process, or the place of one; used by one thread, except for `interrupt` and `kill`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._tasks = 0
        self._closed = False

    def prepare(self) -> None:
        """Have a process that is ready. What goes wrong with it shows when it is asked."""
        if self._tasks > TASKS_OF_A_WORKER:
            self.end()
        if not self._alive():
            self.evaluate("x", PREPARE_SECONDS)

    def evaluate(self, text: str, seconds: float) -> Evaluated:
        """Return what the process says of `text`, which has so much CPU time."""
        try:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([text, seconds]).encode() + b"\n")
            process.stdin.flush()
            return _decoded(json.loads(process.stdout.readline()))
        except Exception:
            # It did not start, died while it was written to or read, was closed, or said what is
            # no reply. Whatever it was: the thread that waits here must go on.
            if self.end() not in BY_ITS_EXPRESSION:
                return Evaluated(Unread.EXHAUSTED, 0.0, lost=True)
            return Evaluated(Unread.EXHAUSTED, seconds, out=True)

    def interrupt(self) -> None:
        """Have the process give up its expression; one in a long step of C goes on to its limit."""
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGVTALRM)

    def kill(self) -> None:
        """End the process at once, and start no other."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _running(self) -> subprocess.Popen[bytes]:
        self._tasks += 1
        if not self._alive():
            self.end()
        if self._process is None:
            self._tasks = 0
            self._process = self._started()
        if self._closed:  # also where it was closed while the process started
            raise ValueError("closed")
        return self._process

    def _started(self) -> subprocess.Popen[bytes]:
        for pause in START_PAUSES:
            try:
                return _start()
            except OSError:  # no memory or no process to spare, for the moment
                time.sleep(pause)
        return _start()

    def end(self) -> int | None:
        """End the process if there is one; return its status, which is its own if it was dead."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was not sent is of no use any more
                    stream.close()
        return process.wait()


def _start() -> subprocess.Popen[bytes]:
    # It finds the modules that this process finds, and none of the user's current folder.
    found = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": found},
        start_new_session=True,  # Ctrl-C is for the caller
    )


def _encoded(found: Evaluated) -> dict[str, Any]:
    cost = {"seconds": found.seconds, "out": found.out, "lost": found.lost}
    if isinstance(found.found, Unread):
        return {"unread": found.found.value, **cost}
    sample = found.found
    values = [value and [str(part) for part in value] for value in sample.values]
    return {
        "values": values,
        "constant": sample.constant,
        "size": sample.size,
        "digits": sample.digits,
        "residues": sample.residues,
        **cost,
    }


def _decoded(reply: dict[str, Any]) -> Evaluated:
    if fault := reply.get("fault"):
        FAULTS.note("evaluate", str(fault))
    seconds, out, lost = float(reply["seconds"]), bool(reply["out"]), bool(reply["lost"])
    if "unread" in reply:
        return Evaluated(Unread(reply["unread"]), seconds, out, lost)
    values = tuple(
        (Decimal(value[0]), Decimal(value[1])) if value else None for value in reply["values"]
    )
    rows, columns = reply["size"]
    residues = None if reply["residues"] is None else tuple(map(int, reply["residues"]))
    size, digits = (rows, columns), int(reply["digits"])
    return Evaluated(Sample(values, reply["constant"], size, digits, residues), seconds)


# In the process -----------------------------------------------------------------------------


class _OutOfTime(BaseException):
    """Not an `Exception`, so that no library on the way swallows it."""


class _Clock:
    """Stops an expression; `running` guards what stands around it from a signal that is late."""

    def __init__(self) -> None:
        self.running = False
        signal.signal(signal.SIGVTALRM, self._stop)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the kernel's: it ends the process

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.running:
            self.running = False
            raise _OutOfTime

    def start(self, seconds: float) -> None:
        signal.setitimer(signal.ITIMER_PROF, seconds + GRACE_SECONDS)
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        self.running = True

    def end(self) -> None:
        self.running = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _serve() -> None:
    """Evaluate what comes on standard input until it ends."""
    clock = _Clock()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from .measure import measure, warm_up

    def evaluate(text: str, most: float) -> dict[str, Any]:
        started = time.process_time()
        found: Sample | Unread = Unread.EXHAUSTED
        fault, stopped = None, False
        try:
            clock.start(most)
            found = measure(text)
            clock.end()
        except _OutOfTime:
            stopped = True
        except Exception as error:  # a library met what its authors did not think of
            fault = type(error).__name__
        clock.end()
        seconds = time.process_time() - started
        # One that is stopped before its time is over has a caller who left.
        out = stopped and seconds >= most * NEARLY
        ended = Evaluated(found, most if out else seconds, out, lost=stopped and not out)
        return {**_encoded(ended), "fault": fault}

    warm_up()
    replies, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        text, most = json.loads(line)
        print(json.dumps(evaluate(text, most)), file=replies, flush=True)


if __name__ == "__main__":
    _serve()
