"""What an interval of 95% holds, and how often a test at 5% fires, over grids of true values.

Single samples are counted out exactly. Several samples are simulated: problems differ as a beta
distribution has it (`ALIKE` is the correlation of two samples of one problem), or as a logistic
normal one.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import islice, product

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom, multinomial

from eval.figures import intervals, permutation

Array = npt.NDArray[np.float64]
PROBLEMS = (30, 60, 99, 300)
ALIKE = (0.0, 0.1, 0.3, 0.6, 0.9)
REPEATS = 300
EPSILON = 1e-9


def holds(rates: list[float], low: float = 0.93) -> None:
    """A simulated rate of .91 may be seen as .885: three standard errors of `REPEATS`."""
    assert low <= np.mean(rates) <= 0.97
    assert min(rates) >= 0.91 - 0.025


def test_wilsons_interval_covers_one_sample_a_problem() -> None:
    rates = []
    for n, chance in product(PROBLEMS, (0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97)):
        found = [intervals.mean_interval([1.0] * k + [0.0] * (n - k)) for k in range(n + 1)]
        hit = [each.low <= chance <= each.high for each in found]
        rates.append(float(binom.pmf(np.arange(n + 1), n, chance) @ hit))
    assert 0.93 <= np.mean(rates) <= 0.97
    assert min(rates) >= 0.91


def difficulties(rng: np.random.Generator, n: int, mean: float, alike: float) -> Array:
    if alike == 0:
        return np.full((REPEATS, n), mean)
    size = 1 / alike - 1
    return rng.beta(mean * size, (1 - mean) * size, (REPEATS, n))


def test_the_interval_covers_several_samples_a_problem() -> None:
    rng = np.random.default_rng(0)
    rates = []
    for n, samples, mean, alike in product(
        PROBLEMS, (2, 4, 16, 64), (0.03, 0.1, 0.3, 0.5, 0.8, 0.97), ALIKE
    ):
        shares = rng.binomial(samples, difficulties(rng, n, mean, alike)) / samples
        found = [intervals.mean_interval([*row]) for row in shares]
        rates.append(float(np.mean([each.low <= mean <= each.high for each in found])))
    holds(rates)


def test_the_interval_covers_difficulties_of_another_shape() -> None:
    rng = np.random.default_rng(1)
    rates = []
    for n, samples, centre, spread in product((30, 99), (4, 16), (-3.0, 0.0, 2.0), (1.0, 3.0)):
        everything = 1 / (1 + np.exp(-rng.normal(centre, spread, 200_000)))
        mean = float(everything.mean())
        shares = rng.binomial(samples, rng.choice(everything, (REPEATS, n))) / samples
        found = [intervals.mean_interval([*row]) for row in shares]
        rates.append(float(np.mean([each.low <= mean <= each.high for each in found])))
    holds(rates)


@cache
def pair(n: int, gained: int, lost: int) -> tuple[float, float, float]:
    one = [0.0] * gained + [1.0] * lost + [0.0] * (n - gained - lost)
    two = [1.0] * gained + [0.0] * lost + [0.0] * (n - gained - lost)
    found = intervals.paired(one, two)
    return found.difference.low, found.difference.high, found.p


def test_pairs_of_one_sample_are_covered_and_tested() -> None:
    rates, fired = [], []
    for n, differ, difference in product((30, 60), (0.1, 0.2, 0.4), (0.0, 0.05, 0.1, 0.2)):
        if difference > differ:
            continue
        won, given = (differ + difference) / 2, (differ - difference) / 2
        law = multinomial(n, [won, given, 1 - differ])
        cases = [(g, k) for g in range(n + 1) for k in range(n + 1 - g) if g + k < 0.9 * n]
        chances = law.pmf([[g, k, n - g - k] for g, k in cases])
        likely = [case for case, chance in zip(cases, chances, strict=True) if chance > 1e-6]
        found = np.array([pair(n, *case) for case in likely])
        weights = chances[chances > 1e-6] / chances[chances > 1e-6].sum()
        hit = (found[:, 0] - EPSILON <= difference) & (difference <= found[:, 1] + EPSILON)
        rates.append(float(weights @ hit))
        if difference == 0:
            fired.append(float(weights @ (found[:, 2] < 0.05)))
    assert 0.93 <= np.mean(rates) <= 0.97
    assert min(rates) >= 0.91
    assert max(fired) <= 0.055


def pairs(
    rng: np.random.Generator, n: int, samples: tuple[int, int], mean: float, by: float, alike: float
) -> Iterator[tuple[Array, Array]]:
    """Two runs of which the second solves, of what the first does not, as much more."""
    first = difficulties(rng, n, mean, alike)
    second = first + (1 - first) * by / (1 - mean)
    one = rng.binomial(samples[0], first) / samples[0]
    two = rng.binomial(samples[1], second) / samples[1]
    return zip(one, two, strict=True)


@pytest.fixture
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permutation, "DRAWS", 499)


@pytest.mark.usefixtures("fewer_draws")
def test_pairs_of_several_samples_are_covered_and_tested() -> None:
    rng = np.random.default_rng(2)
    rates: list[float] = []
    fired: dict[tuple[int, int], list[float]] = defaultdict(list)
    for n, samples, (mean, by), alike in product(
        (30, 99), ((4, 4), (16, 16), (1, 9)),
        ((0.1, 0.0), (0.5, 0.0), (0.5, 0.1), (0.9, 0.0), (0.9, 0.05), (0.95, 0.03)),
        (0.1, 0.3, 0.6),
    ):  # fmt: skip
        found = []
        for one, two in islice(pairs(rng, n, samples, mean, by, alike), 200):
            made = intervals.paired([*one], [*two], same_samples=samples[0] == samples[1])
            each, p = made.difference, made.p
            assert (each.low <= 0 <= each.high) == (p > 0.05), "an interval and its p contradict"
            found.append((each.low - EPSILON <= by <= each.high + EPSILON, p < 0.05))
        rates.append(float(np.mean([hit for hit, _ in found])))
        if by == 0:
            fired[samples].append(float(np.mean([fire for _, fire in found])))
    holds(rates)
    for rate in fired.values():
        assert np.mean(rate) <= 0.055
        assert max(rate) <= 0.1, "three standard errors; one sample against nine reaches .08"


def test_checkpoints_without_a_difference_are_rarely_called_different() -> None:
    """Three training strategies against one, three seeds each, and every training has its luck."""
    rng = np.random.default_rng(3)
    treated, blocks = [False, True, True, True] * 3, [n for n in range(3) for _ in range(4)]
    fired, hit = [], []
    for _ in range(400):
        luck = rng.normal(0, 0.026, 12) + np.repeat(rng.normal(0, 0.02, 3), 4)
        found = permutation.blocked([*luck], treated, blocks)
        assert found.p is not None
        assert found.interval is not None
        fired.append(found.p < 0.05)
        hit.append(found.interval.low <= 0 <= found.interval.high)
    assert np.mean(fired) <= 0.055
    assert 0.93 <= np.mean(hit) <= 0.985


@pytest.mark.usefixtures("fewer_draws")
@pytest.mark.parametrize("seeds", [2, 3, 4, 6, 8, 12])
def test_intervals_of_checkpoints_cover_a_difference(seeds: int) -> None:
    rng = np.random.default_rng(4)
    true, hit = 0.05, []
    for _ in range(300):
        one, two = rng.normal(0, 0.04, seeds), rng.normal(true, 0.04, seeds)
        values = [*one, *two]
        found = permutation.blocked(
            values, [False] * seeds + [True] * seeds, [*range(seeds), *range(seeds)]
        )
        assert found.interval is not None
        assert found.p is not None
        assert (found.interval.low <= 0 <= found.interval.high) == (found.p > 0.05)
        hit.append(found.interval.low <= true <= found.interval.high)
    assert np.mean(hit) >= 0.91
