"""A run's progress bar, on standard error: done, accuracy so far, time left."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .samples import Sample


@contextmanager
def bar(total: int, before: Iterable[Sample]) -> Iterator[Callable[[Sample], None]]:
    """Show progress to `total` samples; yield what to call with each new one."""
    done = [sample for sample in before if sample.error is None]
    correct = sum(sample.correct for sample in done)
    count = len(done)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        line = progress.add_task(_label(correct, count), total=total, completed=count)

        def on_sample(sample: Sample) -> None:
            nonlocal correct, count
            count += 1
            correct += sample.correct
            progress.update(line, advance=1, description=_label(correct, count))

        yield on_sample


def _label(correct: int, count: int) -> str:
    return f"solved {correct}/{count}"
