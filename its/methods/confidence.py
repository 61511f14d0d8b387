"""What log-probabilities say of a reply, and which replies to leave out of a vote."""

import math
from collections.abc import Sequence

from .seam import Logprobs

WINDOW = 2_048
"""Tokens of DeepConf's window and tail (arXiv 2508.15260, section 4)."""

FLOOR = -50.0
"""Engines write -inf or -9999 for a token that they give no probability."""

FEWEST = 4
"""Replies that two distributions can be fitted to."""


def measure(chosen: Sequence[float], top: Sequence[Sequence[float]] = ()) -> Logprobs | None:
    """Return the summary of a reply's log-probabilities; `None` if it has none.

    `chosen` holds one for each token, `top` those of the likeliest tokens at each place. DeepConf's
    confidence of a token is the mean of minus `top`; it is high where one token stands out.
    """
    if not chosen:
        return None
    mean = math.fsum(map(_finite, chosen)) / len(chosen)
    sure = [-math.fsum(map(_finite, each)) / len(each) for each in top if each]
    if not sure:
        return Logprobs(mean)
    tail = sure[-WINDOW:]
    return Logprobs(mean, math.fsum(tail) / len(tail), _worst(sure))


def _worst(sure: Sequence[float]) -> float:
    """Return the lowest mean over `WINDOW` tokens in a row."""
    size = min(WINDOW, len(sure))
    total = lowest = math.fsum(sure[:size])
    for leaves, enters in zip(sure, sure[size:], strict=False):
        total += enters - leaves
        lowest = min(lowest, total)
    return lowest / size


def _finite(logprob: float) -> float:
    return max(FLOOR, logprob) if logprob == logprob else FLOOR


def improbable(shares: Sequence[float]) -> set[int]:
    """Return the indices of replies to leave out: RPC's reasoning pruning.

    A Theoretical Study on Bridging Internal Probability and Self-Consistency (Zhou et al., arXiv
    2502.00511 and 2510.15444, section 4): two Weibull distributions are fitted to the replies'
    probabilities `shares` (0 to 1); one that the low distribution explains better is left out if
    it is also below the mean.
    """
    if len(shares) < FEWEST or max(shares) - min(shares) < 1e-9:
        return set()
    values = [max(share, 1e-9) for share in shares]
    low, high = _two_weibulls(values)
    mean = math.fsum(values) / len(values)
    return {n for n, x in enumerate(values) if x < mean and _log(x, *low) > _log(x, *high)}


_Part = tuple[float, float, float]
"""Weight, shape and scale of one Weibull distribution."""


def _two_weibulls(values: Sequence[float]) -> tuple[_Part, _Part]:
    """Fit a mixture by expectation maximisation, from the lower and the upper half."""
    middle = sorted(values)[len(values) // 2]
    shares = [0.1 if x < middle else 0.9 for x in values]  # that a value is of the high one
    low = high = (0.5, 1.0, 1.0)
    for _ in range(30):
        low, high = _fit(values, [1 - share for share in shares]), _fit(values, shares)
        logs = [(_log(x, *low), _log(x, *high)) for x in values]
        shares = [1 / (1 + math.exp(max(-700.0, min(700.0, a - b)))) for a, b in logs]
    return (low, high) if _mean(low) <= _mean(high) else (high, low)


def _fit(values: Sequence[float], weights: Sequence[float]) -> _Part:
    """Return the likeliest Weibull of weighted values; its shape is found by bisection."""
    total = math.fsum(weights) + 1e-12
    logs = [math.log(x) for x in values]
    mean_log = math.fsum(w * x for w, x in zip(weights, logs, strict=True)) / total
    top = max(logs)
    bottom, end = 0.05, 200.0
    for _ in range(30):
        shape = math.sqrt(bottom * end)
        powers = [w * math.exp(shape * (x - top)) for w, x in zip(weights, logs, strict=True)]
        sum_ = math.fsum(powers) + 1e-300
        slope = math.fsum(p * x for p, x in zip(powers, logs, strict=True)) / sum_
        bottom, end = (bottom, shape) if slope - 1 / shape > mean_log else (shape, end)
    scale = math.exp(top + math.log(sum_ / total) / shape)
    return total / len(values), shape, scale


def _log(x: float, weight: float, shape: float, scale: float) -> float:
    ratio = math.log(x / scale)
    power = math.exp(min(700.0, shape * ratio))
    return math.log(weight) + math.log(shape / scale) + (shape - 1) * ratio - power


def _mean(part: _Part) -> float:
    return part[2] * math.gamma(1 + 1 / part[1])
