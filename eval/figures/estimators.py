"""Estimators over samples and problems. Pure: counts and shares in, shares out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054


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


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95% score interval (E. B. Wilson, 1927) of a share seen in n problems.

    `n` may be an effective number, which is not whole (`intervals.mean_interval`).

    It begins at 0 for a share of 0 and ends at 1 for 1, which rounding alone would miss.
    """
    spread = Z95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    low = max(0.0, centre - half) if share > 0 else 0.0
    return low, min(1.0, centre + half) if share < 1 else 1.0
