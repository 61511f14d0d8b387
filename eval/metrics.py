"""Figures from samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from .samples import Sample

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Score:
    """How one model did. `pass_at_1` is the mean over samples, then over problems (0 to 1).

    `low` and `high` bound it at 95%; `tokens` is the mean completion length.
    """

    name: str
    problems: int
    pass_at_1: float
    low: float
    high: float
    abstained: int
    cut: int
    failed: int
    samples: int
    tokens: float


def score(name: str, samples: Sequence[Sample]) -> Score:
    """Return the figures of `samples` (at least one). A failed call counts as wrong."""
    by_problem: dict[str, list[bool]] = {}
    for sample in samples:
        by_problem.setdefault(sample.id, []).append(sample.correct)
    accuracy = fmean(fmean(correct) for correct in by_problem.values())
    low, high = wilson(accuracy, len(by_problem))
    answered = [sample for sample in samples if sample.error is None]
    return Score(
        name=name,
        problems=len(by_problem),
        pass_at_1=accuracy,
        low=low,
        high=high,
        abstained=sum(sample.answer is None for sample in answered),
        cut=sum(sample.finish_reason == "length" for sample in answered),
        failed=len(samples) - len(answered),
        samples=len(samples),
        tokens=fmean([sample.tokens for sample in answered] or [0]),
    )


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95% score interval (E. B. Wilson, 1927) of a share seen in `n` problems.

    With several samples of a problem it is conservative: they are not independent, so only
    problems are counted.
    """
    spread = Z95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)
