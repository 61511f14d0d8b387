"""95% intervals of shares and of paired differences, in closed form. Pure.

All of them are score intervals. One sample a problem gives shares of 0 and 1: then they are
Wilson's (1927) and Tango's (1998) as published. Several samples a problem tell more than that, but
not as much as independent problems would: then the same formula is used with the number of problems
that would leave as much spread (the effective sample size of E. L. Korn and B. I. Graubard, *Survey
Methodology* 24, 1998). A few pseudo-problems are added to the spread, as a handful of problems that
happen to be alike would else promise too much. `tests/eval/figures/test_coverage.py` simulates how
often the intervals hold what they say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from . import permutation
from .estimators import Z95, Interval, wilson

Array = npt.NDArray[np.float64]

ALIKE = 1e-9
"""Shares that differ by less are one share, written by two divisions."""

PSEUDO = 3.0
"""Pseudo-problems in the spread of a share: half of them solved, half of them not."""

PSEUDO_PAIRS = 1.0
"""Pseudo-problems in the spread of a paired difference."""


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of one share (0 to 1) a problem, and its interval."""
    shares = np.asarray(values, float)
    mean = float(shares.mean())
    spread = float(((shares - mean) ** 2).sum())
    return Interval(
        mean, *wilson(mean, _effective(mean, spread, len(shares), _all_or_none(shares)))
    )


class RunningShare:
    """The mean share of right samples of a run that is not finished: the interval of the table.

    A problem counts with the mean of the samples that it has so far.
    """

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}
        self._sum = self._squares = 0.0
        self._partly = 0  # problems of which some samples are right and some wrong

    def add(self, key: str, right: bool) -> None:
        """Count one sample of the problem `key`."""
        before = self._counts.get(key)
        if before:
            self._weigh(before, -1)
        number, correct = before or (0, 0)
        self._counts[key] = number + 1, correct + right
        self._weigh(self._counts[key], 1)

    def _weigh(self, counts: tuple[int, int], sign: int) -> None:
        share = counts[1] / counts[0]
        self._sum += sign * share
        self._squares += sign * share**2
        self._partly += sign * (0 < counts[1] < counts[0])

    def interval(self) -> Interval:
        """Return the mean and its interval; there must be a sample."""
        n = len(self._counts)
        mean = min(1.0, max(0.0, self._sum / n))
        spread = max(0.0, self._squares - n * mean**2)
        if not self._partly:  # sums of whole shares may be off by a rounding
            mean = round(self._sum) / n
        return Interval(mean, *wilson(mean, _effective(mean, spread, n, not self._partly)))


def ratio_interval(part: Sequence[float], whole: Sequence[float]) -> Interval | None:
    """Return the sum of `part` by that of `whole`, and its interval; `None` if `whole` is nothing.

    `part` is at most `whole` in each problem, and both are shares. The spread is that of the
    residuals `part - ratio x whole` (Taylor linearisation).
    """
    parts, wholes = np.asarray(part, float), np.asarray(whole, float)
    total = float(wholes.sum())
    if total <= 0:
        return None
    share = min(1.0, max(0.0, float(parts.sum()) / total))
    answered = int((wholes > 0).sum())
    residuals = (parts - share * wholes) * answered / total
    binary = _all_or_none(parts) and _all_or_none(wholes)
    n = _effective(share, float((residuals**2).sum()), answered, binary)
    return Interval(share, *wilson(share, n))


def over_seeds(found: Interval, levels: Sequence[float]) -> Interval:
    """Widen the interval of a mean over checkpoints by their spread (Student's t over `levels`).

    `levels` has the mean of each checkpoint. With one alone its spread is not known: the interval
    is of this checkpoint then.
    """
    if len(levels) < 2:
        return found
    half = permutation.student(len(levels) - 1) * float(np.std(levels, ddof=1))
    half /= math.sqrt(len(levels))
    value = found.value
    low, high = math.hypot(value - found.low, half), math.hypot(found.high - value, half)
    return Interval(value, max(0.0, value - low), min(1.0, value + high))


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The mean of paired differences with its interval, and the p-value that there is none."""

    difference: Interval
    p: float


def paired(one: Sequence[float], two: Sequence[float], *, same_samples: bool = True) -> PairedTest:
    """Compare two shares a problem: `two` less `one`, pair by pair.

    The interval is a score interval (T. Tango, *Statistics in Medicine* 17, 1998), the p that of a
    permutation of signs (`permutation.signs`; McNemar's exact one, where each has one sample). The
    two never contradict each other: the interval holds 0 exactly if p is above 0.05.

    `same_samples` says that both runs have as many samples of a problem. If not, signs are no fair
    coin near 0 and 1 (one sample is more often a little better than nine, and sometimes much
    worse): then p is the score test's, if that is larger.
    """
    first, second = _shares(one), _shares(two)
    differences = second - first
    mean = float(differences.mean())
    n = float(len(differences))
    # The chance that one sample of each has `two` right and `one` wrong; and the other way round.
    gained, lost = float((second * (1 - first)).sum()), float((first * (1 - second)).sum())
    factor = _factor(first, second, gained, lost)
    low, high = _tango(gained * factor, lost * factor, n * factor)
    test = permutation.signs(differences)
    if not same_samples:
        test = replace(test, p=max(test.p, _score_p(gained * factor, lost * factor)))
    return PairedTest(_agreeing(Interval(mean, min(low, mean), max(high, mean)), test), test.p)


def _score_p(gained: float, lost: float) -> float:
    """Return the p of Tango's score test that the difference is 0, which is McNemar's."""
    if gained + lost <= 0:
        return 1.0
    return math.erfc(abs(gained - lost) / math.sqrt(2 * (gained + lost)))


def _shares(values: Sequence[float]) -> Array:
    """Return shares; what two divisions leave over 1 or under 0 is cut."""
    shares: Array = np.clip(np.asarray(values, float), 0.0, 1.0)
    return shares


def _all_or_none(shares: Array) -> bool:
    return bool(((shares < ALIKE) | (shares > 1 - ALIKE)).all())


def _effective(mean: float, spread: float, n: int, binary: bool) -> float:
    """Return how many independent problems of one sample would tell as much; at least n."""
    if binary or not 0 < mean < 1:
        return n
    smooth = (mean * n + PSEUDO / 2) / (n + PSEUDO)
    variance = (spread + PSEUDO * smooth * (1 - smooth)) / (n - 1 + PSEUDO)
    return max(float(n), mean * (1 - mean) * n / variance)


def _factor(first: Array, second: Array, gained: float, lost: float) -> float:
    """Return by how much more the pairs tell than pairs of one sample with the same sums.

    A run that solved all, or nothing, shows no spread to measure: it counts as one of one sample.
    """
    alike = any(np.ptp(shares) < ALIKE and _all_or_none(shares) for shares in (first, second))
    if alike or (_all_or_none(first) and _all_or_none(second)):
        return 1.0
    n, differences = len(first), second - first
    mean = float(differences.mean())
    won, given = (gained + 0.5) / (n + 1), (lost + 0.5) / (n + 1)
    pseudo = won + given - (won - given) ** 2
    spread = float(((differences - mean) ** 2).sum())
    variance = (spread + PSEUDO_PAIRS * pseudo) / (n - 1 + PSEUDO_PAIRS)
    return max(1.0, ((gained + lost) / n - mean**2) / variance)


def _tango(gained: float, lost: float, n: float) -> tuple[float, float]:
    mean = (gained - lost) / n

    def holds(at: float) -> bool:
        """Say whether the score test keeps the difference `at` (Tango's equations 7 to 9)."""
        b = -gained - lost + (2 * n - gained + lost) * at
        root = math.sqrt(max(b * b + 8 * n * lost * at * (1 - at), 0.0))
        variance = n * (2 * (root - b) / (4 * n) + at * (1 - at))
        return (gained - lost - n * at) ** 2 <= Z95**2 * max(variance, 0.0) + 1e-12

    return _limit(holds, mean, -1.0), _limit(holds, mean, 1.0)


def _limit(holds: permutation.Holds, inside: float, end: float) -> float:
    """Return the last difference between `inside` and `end` that holds, by bisection."""
    if holds(end):
        return end
    for _ in range(50):
        middle = (inside + end) / 2
        inside, end = (middle, end) if holds(middle) else (inside, middle)
    return inside


def _agreeing(found: Interval, test: permutation.SignTest) -> Interval:
    """Return the interval as the test beside it has it, where the two disagree about 0."""
    value, low, high = found.value, found.low, found.high
    if test.p > permutation.LEVEL:
        return Interval(value, min(low, 0.0), max(high, 0.0))
    if not low <= 0 <= high:
        return found
    if value > 0:  # an exact p and drawn limits may disagree by a hair
        return Interval(value, max(test.low, min(ALIKE, value)), high)
    return Interval(value, low, min(test.high, max(-ALIKE, value)))
