"""Progress bars, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from .volume import is_quiet, note_console


class Advance(Protocol):
    """Moves a bar on by `steps`, and gives it another label if one is named."""

    def __call__(self, label: str | None = None, steps: int = 1) -> None: ...


@contextmanager
def bar(
    label: str, total: int, *, done: int = 0, every: int = 1, transient: bool = False
) -> Iterator[Advance]:
    """Show progress from `done` to `total`; yield what to call after each step.

    `every` is the number of steps between two updates: where a step is cheaper than an update,
    updating at each would cost more than the work. A `transient` bar is gone in the end.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(
        *columns, console=note_console(), transient=transient, disable=is_quiet()
    ) as progress:
        line = progress.add_task(label, total=total, completed=done)
        count = done

        def advance(label: str | None = None, steps: int = 1) -> None:
            nonlocal count
            count += steps
            if count % every == 0:
                progress.update(line, completed=count, description=label)

        yield advance
        progress.update(line, completed=count)


@contextmanager
def downloads() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what downloads report to: a label, the bytes that have come, and the bytes in all.

    Each label has a bar of its own. Nothing is shown until the first report.
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    progress = Progress(*columns, console=note_console(), disable=is_quiet())
    lines: dict[str, TaskID] = {}

    def report(label: str, done: int, total: int) -> None:
        if label not in lines:
            progress.start()  # not before: without a line it would leave an empty one
            lines[label] = progress.add_task(label, total=total)
        progress.update(lines[label], completed=done)

    try:
        yield report
    finally:
        if lines:
            progress.stop()
