"""Estimators over samples and problems. Pure: counts and shares in, shares out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
Z95 = 1.959963984540054
ALIKE = 1e-9
"""Shares that differ by less are one share, written by two divisions."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A share or a difference, and where it lies at 95%."""

    value: float
    low: float
    high: float


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Return the chance that k of n samples, drawn without replacement, have a correct one.

    Unbiased: *Evaluating Large Language Models Trained on Code* (arXiv 2107.03374), section 2.1.
    """
    if not 1 <= k <= n:
        raise ValueError(f"k must be 1 to {n}, not {k}")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def maj_at_k(sizes: Sequence[int], correct: Sequence[bool], abstained: int) -> list[float]:
    """Return, for k = 1 to n, the chance that a majority of k of the n samples is right.

    Exact over all k-subsets. `sizes` are the clusters of equal answers, `correct` says which are
    right; `abstained` samples have no answer and no vote. A tie of t clusters counts 1/t.
    """
    n = sum(sizes) + abstained
    shares = math.lcm(*range(1, len(sizes) + 1))  # in whole numbers, which do not overflow
    right = [0] * (n + 1)
    for index, good in enumerate(correct):
        if good:
            others = [size for other, size in enumerate(sizes) if other != index]
            for k, ways in enumerate(_wins(sizes[index], others, abstained, n, shares)):
                right[k] += ways
    return [right[k] / (shares * math.comb(n, k)) for k in range(1, n + 1)]


def _wins(own: int, others: Sequence[int], abstained: int, n: int, shares: int) -> list[int]:
    """Return, by k, the k-subsets that a cluster of `own` leads; one of t tied weighs shares/t."""
    total = [0] * (n + 1)
    for votes in range(1, own + 1):
        # ways[k][t]: subsets of the others with k samples, t clusters of them with `votes` too.
        ways: dict[tuple[int, int], int] = {(0, 0): 1}
        for size in others:
            ways = _joined(ways, size, votes)
        lead = math.comb(own, votes)
        for (taken, ties), number in ways.items():
            for silent in range(abstained + 1):
                weight = lead * number * math.comb(abstained, silent) * (shares // (ties + 1))
                total[votes + taken + silent] += weight
    return total


def _joined(ways: dict[tuple[int, int], int], size: int, most: int) -> dict[tuple[int, int], int]:
    joined: dict[tuple[int, int], int] = {}
    for (taken, ties), number in ways.items():
        for votes in range(min(size, most) + 1):
            key = taken + votes, ties + (votes == most)
            joined[key] = joined.get(key, 0) + number * math.comb(size, votes)
    return joined


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean of one share a problem, and its 95% interval by bootstrap over problems.

    Where all problems are alike a bootstrap sees no spread; then the interval is Wilson's.
    """
    array = np.asarray(values, float)
    mean = float(array.mean())
    if np.ptp(array) == 0:
        return Interval(mean, *wilson(mean, len(array)))
    return Interval(mean, *_percentiles(_resampled(array, seed)))


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


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95% score interval (E. B. Wilson, 1927) of a share seen in n problems.

    It begins at 0 for a share of 0 and ends at 1 for 1, which rounding alone would miss.
    """
    spread = Z95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    low = max(0.0, centre - half) if share > 0 else 0.0
    return low, min(1.0, centre + half) if share < 1 else 1.0


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
