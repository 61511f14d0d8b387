"""The progress bar of a download, on standard error; nothing is shown for what is already here."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from .models import Progress as Report


@contextmanager
def download_bar() -> Iterator[Report]:
    """Yield what a download reports its bytes to."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        lines: dict[str, TaskID] = {}

        def report(label: str, done: int, total: int) -> None:
            if label not in lines:
                lines[label] = progress.add_task(label, total=total)
            progress.update(lines[label], completed=done)

        yield report
