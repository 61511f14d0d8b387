"""How far a run is, on standard error: a bar on a terminal, a line each minute in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from its import cli

from ..figures.intervals import RunningShare
from ..samples import EvalSample

LINE_SECONDS = 60.0
"""Between two lines of a log."""


class Show(Protocol):
    """Shows what there is to tell; `new` says that a sample came."""

    def __call__(self, *, new: bool) -> None: ...


class RunProgress:
    """Counts samples; tells how many are done and right, how fast it goes, and what it waits for.

    `waiting` says what the run waits for, if it does.
    """

    def __init__(
        self,
        total: int,
        before: Iterable[EvalSample],
        waiting: Callable[[], str | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        done = [sample for sample in before if sample.error is None]
        self.total, self.count = total, len(done)
        self._correct, self._failed, self._new, self._tokens = (
            sum(sample.correct for sample in done), 0, 0, 0,
        )  # fmt: skip
        self._share = RunningShare()
        for sample in done:
            self._share.add(sample.id, sample.correct)
        self._waiting, self._clock, self._began = waiting, clock, clock()
        self.show: Show = lambda *, new: None

    def on_sample(self, sample: EvalSample) -> None:
        """Count a new sample."""
        self.count += 1
        self._new += 1
        self._correct += sample.correct
        self._share.add(sample.id, sample.correct)
        self._failed += sample.error is not None
        self._tokens += sample.tokens or 0
        self.show(new=True)

    def tick(self) -> None:
        """Show what changes with time alone; to be called each second."""
        self.show(new=False)

    def label(self) -> str:
        """Return what stands beside the bar."""
        if waiting := self._waiting():
            return waiting
        if self.count == 0:
            return "solved 0/0"
        share = self._share.interval()
        seconds = max(self._clock() - self._began, 1e-3)
        failed = f", {self._failed} failed" if self._failed else ""
        speed = f", {self._tokens / seconds:.0f} tokens/s" if self._tokens else ""  # or unknown
        return (
            f"solved {self._correct}/{self.count} ({share.low:.1%}-{share.high:.1%}){failed}{speed}"
        )

    def line(self) -> str:
        """Return the same as a line of a log, with the time that is left."""
        left = ""
        if self._new and self.count < self.total:
            each = (self._clock() - self._began) / self._new
            left = f", {_duration((self.total - self.count) * each)} left"
        return f"its-eval: {self.count} of {self.total}, {self.label()}{left}"


@contextmanager
def run_progress(
    total: int, before: Iterable[EvalSample], waiting: Callable[[], str | None] = lambda: None
) -> Iterator[RunProgress]:
    """Show progress to `total` samples; yield what to tell of each new one."""
    progress = RunProgress(total, before, waiting)
    if not sys.stderr.isatty():
        progress.show = log(progress, lambda line: print(line, file=sys.stderr, flush=True))
        yield progress
        print(progress.line(), file=sys.stderr, flush=True)
        return
    with cli.bar(progress.label(), total, done=progress.count) as advance:
        progress.show = lambda *, new: advance(progress.label(), int(new))
        yield progress


def log(
    progress: RunProgress, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
) -> Show:
    """Return what writes a line each `LINE_SECONDS`, whether or not a sample came."""
    last = clock()

    def show(*, new: bool) -> None:
        nonlocal last
        if clock() - last >= LINE_SECONDS:
            last = clock()
            write(progress.line())

    return show


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
