"""Progress bars, on standard error: done, accuracy so far, tokens a second, time left."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..figures.estimators import wilson
from ..grading.rows import Graded
from ..samples import Sample


@contextmanager
def bar(total: int, before: Iterable[Sample]) -> Iterator[Callable[[Sample], None]]:
    """Show progress to `total` samples; yield what to call with each new one."""
    done = [sample for sample in before if sample.error is None]
    correct, count, tokens = sum(sample.correct for sample in done), len(done), 0
    began = time.monotonic()
    with Progress(*_columns(), console=Console(stderr=True)) as progress:
        line = progress.add_task(_label(correct, count, 0), total=total, completed=count)

        def on_sample(sample: Sample) -> None:
            nonlocal correct, count, tokens
            count += 1
            correct += sample.correct
            tokens += sample.tokens
            speed = tokens / max(time.monotonic() - began, 1e-3)
            progress.update(line, advance=1, description=_label(correct, count, speed))

        yield on_sample


@contextmanager
def grading_bar(total: int) -> Iterator[Callable[[Graded], None]]:
    """Show how many of `total` rows are graded; yield what to call with each."""
    with Progress(*_columns(), console=Console(stderr=True), transient=True) as progress:
        line = progress.add_task("grading", total=total)
        yield lambda graded: progress.advance(line)


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


def _label(correct: int, count: int, speed: float) -> str:
    if count == 0:
        return "solved 0/0"
    low, high = wilson(correct / count, count)
    return f"solved {correct}/{count} ({low:.0%} - {high:.0%}), {speed:.0f} tokens/s"
