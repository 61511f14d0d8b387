"""What more samples or more tokens would bring, from the samples of one run and no new call."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .estimators import pass_at_k


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """c(k) = exp(a k^b), with a and b below 0; `error` is the largest distance to the data."""

    a: float
    b: float
    error: float

    def __call__(self, k: float) -> float:
        return math.exp(self.a * k**self.b)


@dataclass(frozen=True, slots=True)
class Saturation:
    """Where one more sample stops paying: F(N) = ceiling (1 - (1 - p)^N)."""

    p: float
    ceiling: float
    samples: int


def coverage(counts: Sequence[tuple[int, int]]) -> list[float]:
    """Return c(k) for k = 1 to n: the mean pass@k of problems with (n samples, correct ones).

    *Large Language Monkeys* (arXiv 2407.21787), section 2.
    """
    n = min(total for total, _ in counts)
    means = (sum(pass_at_k(t, c, k) for t, c in counts) / len(counts) for k in range(1, n + 1))
    return list(means)


def shown_ks(n: int) -> list[int]:
    """Return the k of pass@k and maj@k that a table shows of n samples: powers of two, and n."""
    return sorted({*(1 << power for power in range(1, n.bit_length())), n} - {1}) if n > 1 else []


def power_law(curve: Sequence[float]) -> PowerLaw | None:
    """Fit c(k) = exp(a k^b) to a coverage curve (*Large Language Monkeys*, section 3.1).

    Least squares of log(-log c) over log k. `None` where fewer than three points lie strictly
    between 0 and 1: nothing can be fitted.
    """
    points = [(k, c) for k, c in enumerate(curve, 1) if 0 < c < 1]
    if len(points) < 3:
        return None
    x = np.log([k for k, _ in points])
    y = np.log([-math.log(c) for _, c in points])
    slope, intercept = np.polyfit(x, y, 1)
    fitted = PowerLaw(-math.exp(intercept), float(slope), 0.0)
    error = max(abs(fitted(k) - c) for k, c in points)
    return PowerLaw(fitted.a, fitted.b, error)


def saturation(curve: Sequence[float], gain: float = 0.01) -> Saturation | None:
    """Return where the next sample adds less than `gain` to a coverage curve.

    TTSPM, *Scaling over Scaling* (arXiv 2505.20522): F(N) = F_max (1 - (1 - p)^N), whose gain
    F_max p (1 - p)^N falls to `gain` at N* = ln(gain / (F_max p)) / ln(1 - p). F_max and p are
    fitted by least squares on a grid. `None` for a curve of fewer than two points or of zeros.
    """
    if len(curve) < 2 or max(curve) <= 0:
        return None
    k = np.arange(1, len(curve) + 1)
    ps = np.linspace(0.001, 0.999, 999)
    shape = 1 - (1 - ps[:, None]) ** k
    data = np.asarray(curve)
    ceilings = np.clip(shape @ data / (shape**2).sum(1), 0, 1)
    errors = ((ceilings[:, None] * shape - data) ** 2).sum(1)
    best = int(errors.argmin())
    p, ceiling = float(ps[best]), float(ceilings[best])
    first = ceiling * p
    needed = 1 if first <= gain else math.ceil(math.log(gain / first) / math.log(1 - p))
    return Saturation(p, ceiling, max(1, needed))


def solved_within(
    rows: Sequence[tuple[bool, int | None]], budgets: Sequence[int]
) -> list[float | None]:
    """Return the share of samples (correct, tokens) that are correct within each token budget.

    It is `None` where the tokens of a correct one are not known.
    """
    total = len(rows) or 1
    if any(ok and tokens is None for ok, tokens in rows):
        return [None for _ in budgets]
    return [
        sum(ok and (tokens or 0) <= budget for ok, tokens in rows) / total for budget in budgets
    ]
