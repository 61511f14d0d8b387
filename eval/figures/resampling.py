"""Intervals and p-values from shares by problem, by resampling. Pure, and seeded.

Apart from `estimators`, as only this needs numpy.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .estimators import Interval, wilson

RESAMPLES = 10_000
ALIKE = 1e-9
"""Shares that differ by less are one share, written by two divisions."""


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean of one share a problem, and its 95% interval by bootstrap over problems.

    Where all problems are alike a bootstrap sees no spread; then the interval is Wilson's.
    """
    array = np.asarray(values, float)
    mean = float(array.mean())
    if np.ptp(array) == 0:
        return Interval(mean, *wilson(mean, len(array)))
    return Interval(mean, *_percentiles(_resampled(array, seed)))


def ratio_interval(part: Sequence[float], whole: Sequence[float], seed: int = 0) -> Interval | None:
    """Return the sum of `part` by that of `whole`, and its 95% interval by bootstrap over problems.

    `part` is at most `whole` in each problem. `None` if `whole` is nothing. Where `part` is all or
    nothing of it, a bootstrap sees no spread; then the interval is Wilson's.
    """
    parts, wholes = np.asarray(part, float), np.asarray(whole, float)
    total = float(wholes.sum())
    if total <= 0:
        return None
    share = float(parts.sum()) / total
    if share <= 0 or share >= 1:
        return Interval(share, *wilson(share, max(1, round(total))))
    above, below = _resampled(parts, seed), _resampled(wholes, seed)  # the same draws
    return Interval(share, *_percentiles(above[below > 0] / below[below > 0]))


def paired_difference(one: Sequence[float], two: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean of `two` less `one`, pair by pair, and its 95% interval by bootstrap.

    Where all differences are alike a bootstrap sees no spread. Then the share of problems that
    differ otherwise may be up to Wilson's bound of none in n, and by anything from -1 to 1: the
    argument of Hanley and Lippman-Hand, *If nothing goes wrong, is everything all right?* (1983).
    """
    differences = np.asarray(two, float) - np.asarray(one, float)
    mean = float(differences.mean())
    if np.ptp(differences) < ALIKE:
        _, unseen = wilson(0.0, len(differences))
        seen = (1 - unseen) * mean
        return Interval(mean, seen - unseen, seen + unseen)
    return Interval(mean, *_percentiles(_resampled(differences, seed)))


def paired_p(one: Sequence[float], two: Sequence[float], seed: int = 0) -> float:
    """Return the two-sided p-value that neither is better, from one share a problem of each.

    Were they alike, each problem's difference might as well have the other sign (the permutation
    test for pairs: R. A. Fisher, *The Design of Experiments*, 1935). Where all differences have one
    size, as with one sample each, that is McNemar's exact test; else `RESAMPLES` drawn signs, and
    no value is under one in as many.
    """
    differences = np.round(np.asarray(two, float) - np.asarray(one, float), 9)
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if len(sizes) == 0:
        return 1.0
    if len(sizes) == 1:
        return _binomial(int((differences > 0).sum()), int(counts[0]))
    positive = np.random.default_rng(seed).binomial(counts, 0.5, (RESAMPLES, len(sizes)))
    drawn = np.abs((2 * positive - counts) @ sizes)
    as_far = int((drawn >= abs(differences.sum()) - 1e-6).sum())
    return (1 + as_far) / (1 + RESAMPLES)


def _binomial(gained: int, n: int) -> float:
    """Return the exact two-sided p-value of `gained` heads in n throws of a fair coin."""
    tail = sum(math.comb(n, i) for i in range(min(gained, n - gained) + 1))
    return min(1.0, float(2 * tail / 2**n))


def _resampled(values: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    """Return the means of `RESAMPLES` draws with replacement."""
    rng = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    step = max(1, 2_000_000 // len(values))
    for begin in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - begin)
        means[begin : begin + size] = values[
            rng.integers(len(values), size=(size, len(values)))
        ].mean(1)
    return means


def _percentiles(means: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
