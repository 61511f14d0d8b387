"""Progress bars, on standard error: done, accuracy so far, time left."""

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

from .grade import Graded
from .samples import Sample


@contextmanager
def bar(total: int, before: Iterable[Sample]) -> Iterator[Callable[[Sample], None]]:
    """Show progress to `total` samples; yield what to call with each new one."""
    done = [sample for sample in before if sample.error is None]
    correct = sum(sample.correct for sample in done)
    count = len(done)
    with Progress(*_columns(), console=Console(stderr=True)) as progress:
        line = progress.add_task(_label(correct, count), total=total, completed=count)

        def on_sample(sample: Sample) -> None:
            nonlocal correct, count
            count += 1
            correct += sample.correct
            progress.update(line, advance=1, description=_label(correct, count))

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


def _label(correct: int, count: int) -> str:
    return f"solved {correct}/{count}"
