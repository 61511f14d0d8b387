"""The bar of a run, on standard error: done, accuracy so far, tokens a second, time left."""

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
from ..samples import EvalSample


@contextmanager
def run_bar(total: int, before: Iterable[EvalSample]) -> Iterator[Callable[[EvalSample], None]]:
    """Show progress to `total` samples; yield what to call with each new one."""
    done = [sample for sample in before if sample.error is None]
    correct, count, tokens = sum(sample.correct for sample in done), len(done), 0
    began = time.monotonic()
    with Progress(*bar_columns(), console=Console(stderr=True)) as progress:
        line = progress.add_task(_label(correct, count, 0), total=total, completed=count)

        def on_sample(sample: EvalSample) -> None:
            nonlocal correct, count, tokens
            count += 1
            correct += sample.correct
            tokens += sample.tokens
            speed = tokens / max(time.monotonic() - began, 1e-3)
            progress.update(line, advance=1, description=_label(correct, count, speed))

        yield on_sample


def bar_columns() -> tuple[ProgressColumn, ...]:
    """Return what a bar shows beside its label: done, time spent, time left."""
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
