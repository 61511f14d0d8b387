"""Permutation tests: of pairs, and of checkpoints within blocks. Pure, and seeded.

If two things are alike, their labels may as well stand the other way round (R. A. Fisher, *The
Design of Experiments*, 1935). Problems are the unit for a claim about one checkpoint. Checkpoints
are the unit for a claim about training: what another training seed would have given is not seen in
any number of problems.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .estimators import Z95, Interval

Array: TypeAlias = npt.NDArray[np.float64]
Holds: TypeAlias = Callable[[float], bool]

LEVEL = 0.05
DRAWS = 10_000
"""Arrangements that are drawn where there are more; no p-value is under one in as many."""

CLOSE = 1e-9
"""Sums that differ by less are equal, added up in two orders."""

ONE = "one group has a single checkpoint: how much another training seed would differ is unknown"

_STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706)


@dataclass(frozen=True, slots=True)
class SignTest:
    """A two-sided p-value, and the smallest and largest shift that the test keeps at 5%."""

    p: float
    low: float
    high: float


def signs(differences: Sequence[float] | Array) -> SignTest:
    """Test by permuting signs whether differences, one a problem, are 0 on average.

    Equal differences are drawn together. Where all have one size, as with one sample a problem, p
    is McNemar's exact one. The limits are those of J. A. Hartigan, *Using Subsample Values as
    Typical Values* (JASA 64, 1969).
    """
    values, counts = np.unique(np.round(np.asarray(differences, float), 9), return_counts=True)
    sizes = np.unique(np.abs(values[values != 0]))
    if len(sizes) == 0:
        return SignTest(1.0, 0.0, 0.0)
    if len(sizes) > 1:
        return _inverted(*_drawn(values, counts), drawn=True)
    p = _binomial(int(counts[values > 0].sum()), int(counts[values != 0].sum()))
    if p > LEVEL:  # nothing is refused that needs a limit
        return SignTest(p, -math.inf, math.inf)
    found = _inverted(*_drawn(values, counts), drawn=True)
    return SignTest(p, found.low, found.high)


def _drawn(values: Array, counts: npt.NDArray[np.int_]) -> tuple[float, Array, Array]:
    """Return the mean that was seen, and for `DRAWS` signs the mean and what a shift takes off."""
    total = int(counts.sum())
    rng = np.random.default_rng(0)
    sums = np.stack([values, np.ones(len(values))], axis=1) / total
    if 8 * len(values) > total:  # few are alike: a bit each is cheaper than a binomial
        sums, counts = np.repeat(sums, counts, axis=0), np.ones(total, int)
    made = np.empty((DRAWS, 2))
    step = max(1, 2_000_000 // len(counts))
    for begin in range(0, DRAWS, step):
        part = slice(begin, min(begin + step, DRAWS))
        made[part] = (2 * _heads(rng, counts, part.stop - begin) - counts) @ sums
    return float(sums[:, 0] @ counts), made[:, 0], made[:, 1]


def _heads(rng: np.random.Generator, counts: npt.NDArray[np.int_], draws: int) -> Array:
    """Return how many of each count fall on heads, for each draw."""
    if counts.max() > 1:
        return rng.binomial(counts, 0.5, (draws, len(counts))).astype(float)
    size = draws * len(counts)
    bits = np.unpackbits(np.frombuffer(rng.bytes(size // 8 + 1), np.uint8), count=size)
    return bits.reshape(draws, len(counts)).astype(float)


def _inverted(seen: float, at: Array, shift: Array, *, drawn: bool) -> SignTest:
    """Return the p of `seen` among arrangements, and the limits of a constant shift.

    Without a shift an arrangement has the statistic `at`; each unit of shift takes `shift` (-1 to
    1) off it. So an arrangement is as far as what was seen between two shifts, found directly.
    Draws may have missed what was seen, which is one of the arrangements: it is counted.
    """
    swapped = np.abs(shift) > 1 - CLOSE  # the arrangement that was seen, or its mirror image
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(seen + at) / (1 + shift), (seen - at) / (1 - shift)])
    low = np.sort(np.where(swapped, -np.inf, ends.min(0)))
    high = np.sort(np.where(swapped, np.inf, ends.max(0)))[::-1]
    total = len(at) + drawn
    p = (int((np.abs(at) >= abs(seen) - CLOSE).sum()) + drawn) / total
    refused = math.floor(LEVEL * total + CLOSE) - drawn
    if refused < 0:
        return SignTest(p, -math.inf, math.inf)
    return SignTest(p, float(low[refused]), float(high[refused]))


def _binomial(gained: int, n: int) -> float:
    """Return the exact two-sided p-value of `gained` heads in n throws of a fair coin."""
    tail = sum(math.comb(n, i) for i in range(min(gained, n - gained) + 1))
    return float(min(1, 2 * tail / 2**n))


@dataclass(frozen=True, slots=True)
class GroupTest:
    """The mean of one group of checkpoints less that of another.

    `interval` and `p` are `None` where the checkpoints cannot say it, and `why` says why.
    `smallest` is the smallest p that so many checkpoints can give.
    """

    difference: float
    interval: Interval | None
    p: float | None
    smallest: float | None
    treated: int
    others: int
    why: str | None = None


def blocked(
    values: Sequence[float], treated: Sequence[bool], blocks: Sequence[object]
) -> GroupTest:
    """Test whether treated checkpoints differ from the others, permuting within blocks.

    `values` has one figure for each checkpoint, such as an accuracy or a difference of two of its
    cells; `treated` says which group it is in, `blocks` what it shares with others (its training
    seed). The statistic is the mean over blocks of the difference of the two means in a block;
    blocks with one group only say nothing about it. All arrangements are counted up to `DRAWS`,
    else as many are drawn. The interval inverts the test; where so few checkpoints could not refuse
    anything at 5%, it is Student's over blocks, and holds 0.
    """
    used = _both_sides(values, treated, blocks)
    if not used:
        plain = _mean(values, treated, True) - _mean(values, treated, False)
        first = sum(map(bool, treated))
        why = "no training seed has checkpoints of both groups"
        return GroupTest(plain, None, None, None, first, len(treated) - first, why)
    y, chosen, parts = used
    weights = arrangements(parts, chosen)
    seen = float(_weights(parts, [chosen])[0] @ y)
    first, second = int(chosen.sum()), int((~chosen).sum())
    if min(first, second) < 2:
        return GroupTest(seen, None, None, None, first, second, ONE)
    drawn, shift = len(weights) >= DRAWS, weights @ chosen.astype(float)
    found = _inverted(seen, weights @ y, shift, drawn=drawn)
    swaps = int((np.abs(shift) > 1 - CLOSE).sum())
    interval = _interval(seen, found, y, chosen, parts)
    smallest = (swaps + drawn) / (len(weights) + drawn)
    return GroupTest(seen, interval, found.p, smallest, first, second)


def _mean(values: Sequence[float], treated: Sequence[bool], which: bool) -> float:
    picked = [
        value for value, is_treated in zip(values, treated, strict=True) if is_treated is which
    ]
    return math.fsum(picked) / len(picked) if picked else math.nan


def _both_sides(
    values: Sequence[float], treated: Sequence[bool], blocks: Sequence[object]
) -> tuple[Array, npt.NDArray[np.bool_], list[npt.NDArray[np.int_]]] | None:
    """Return values, groups and the places of each block, of the blocks that have both groups."""
    sides: dict[object, set[bool]] = {}
    for side, block in zip(treated, blocks, strict=True):
        sides.setdefault(block, set()).add(bool(side))
    kept = [n for n, block in enumerate(blocks) if len(sides[block]) == 2]
    if not kept:
        return None
    names = [blocks[n] for n in kept]
    parts = [np.array([i for i, name in enumerate(names) if name == each])
             for each in dict.fromkeys(names)]  # fmt: skip
    return (
        np.array([values[n] for n in kept], float),
        np.array([treated[n] for n in kept], bool),
        parts,
    )


def arrangements(parts: Sequence[npt.NDArray[np.int_]], chosen: npt.NDArray[np.bool_]) -> Array:
    """Return the weights of the statistic for every arrangement, or for `DRAWS` drawn ones.

    `parts` are the places of each block among the checkpoints, `chosen` says which are treated. A
    row has a weight for each checkpoint; times their figures it is the difference of the groups.
    """
    sizes = [(len(part), int(chosen[part].sum())) for part in parts]
    if math.prod(math.comb(n, k) for n, k in sizes) <= DRAWS:
        each = [
            list(combinations(part.tolist(), k)) for part, (_, k) in zip(parts, sizes, strict=True)
        ]
        picked = [np.isin(np.arange(len(chosen)), sum(choice, ())) for choice in product(*each)]
        return _weights(parts, picked)
    rng = np.random.default_rng(0)
    drawn = np.empty((DRAWS, len(chosen)), bool)
    for part in parts:
        drawn[:, part] = chosen[part][rng.random((DRAWS, len(part))).argsort(1)]
    return _weights(parts, drawn)


def _weights(
    parts: Sequence[npt.NDArray[np.int_]],
    picked: npt.NDArray[np.bool_] | Sequence[npt.NDArray[np.bool_]],
) -> Array:
    """Return what each checkpoint weighs in the statistic, for each choice of treated ones."""
    rows = np.asarray(picked)
    weights = np.empty(rows.shape)
    for part in parts:
        inside = rows[:, part]
        count = inside.sum(1, keepdims=True)
        weights[:, part] = np.where(inside, 1 / count, -1 / (len(part) - count)) / len(parts)
    return weights


def _interval(
    seen: float, found: SignTest, y: Array, chosen: npt.NDArray[np.bool_],
    parts: Sequence[npt.NDArray[np.int_]],
) -> Interval | None:  # fmt: skip
    if math.isfinite(found.low) and math.isfinite(found.high):
        if found.p > LEVEL:  # rounding may leave 0 outside by a hair
            return Interval(seen, min(found.low, 0.0), max(found.high, 0.0))
        return Interval(seen, found.low, found.high)
    if len(parts) < 2:
        return None
    each = [float(y[part][chosen[part]].mean() - y[part][~chosen[part]].mean()) for part in parts]
    half = student(len(parts) - 1) * float(np.std(each, ddof=1)) / math.sqrt(len(parts))
    return Interval(seen, min(seen - half, 0.0), max(seen + half, 0.0))


def student(free: int) -> float:
    """Return the 97.5% point of Student's t, to three digits.

    E. A. Cornish and R. A. Fisher's expansion; it is too short for fewer than six degrees.
    """
    if free <= len(_STUDENT):
        return _STUDENT[free - 1]
    z = Z95
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / free + second / free**2 + third / free**3


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values of several hypotheses, adjusted by S. Holm (1979), in the order given."""
    order = sorted(range(len(ps)), key=lambda n: ps[n])
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, n in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[n]))
        adjusted[n] = largest
    return adjusted
