"""The bar of a run, on standard error: done, accuracy so far, tokens a second, time left."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from its import cli

from ..figures.estimators import wilson
from ..samples import EvalSample


@contextmanager
def run_bar(total: int, before: Iterable[EvalSample]) -> Iterator[Callable[[EvalSample], None]]:
    """Show progress to `total` samples; yield what to call with each new one."""
    done = [sample for sample in before if sample.error is None]
    correct, count, tokens = sum(sample.correct for sample in done), len(done), 0
    began = time.monotonic()
    with cli.bar(_label(correct, count, 0), total, done=count) as advance:

        def on_sample(sample: EvalSample) -> None:
            nonlocal correct, count, tokens
            count += 1
            correct += sample.correct
            tokens += sample.tokens or 0
            speed = tokens / max(time.monotonic() - began, 1e-3)
            advance(_label(correct, count, speed))

        yield on_sample


def _label(correct: int, count: int, speed: float) -> str:
    if count == 0:
        return "solved 0/0"
    low, high = wilson(correct / count, count)
    return f"solved {correct}/{count} ({low:.0%} - {high:.0%}), {speed:.0f} tokens/s"
