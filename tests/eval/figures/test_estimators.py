"""Estimators against enumeration, simulation and an independent library."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, hypergeom, permutation_test

from eval.figures import estimators, resampling, scaling


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_pass_at_k_is_the_share_of_subsets(correct: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(correct)))
    subsets = list(combinations(correct, k))
    expected = sum(any(subset) for subset in subsets) / len(subsets)
    assert estimators.pass_at_k(len(correct), sum(correct), k) == pytest.approx(expected)


def majority(answers: tuple[int, ...], right: set[int]) -> float:
    """The share of a correct majority, ties shared; 0 stands for no answer."""
    votes = {a: answers.count(a) for a in answers if a}
    if not votes:
        return 0.0
    leaders = [a for a, count in votes.items() if count == max(votes.values())]
    return sum(a in right for a in leaders) / len(leaders)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.sets(st.integers(1, 4), max_size=2))
def test_maj_at_k_is_the_mean_over_subsets(answers: list[int], right: set[int]) -> None:
    names = sorted({a for a in answers if a})
    sizes = [answers.count(name) for name in names]
    found = estimators.maj_at_k(sizes, [name in right for name in names], answers.count(0))
    for k, value in enumerate(found, 1):
        subsets = list(combinations(answers, k))
        expected = sum(majority(subset, right) for subset in subsets) / len(subsets)
        assert value == pytest.approx(expected)


def test_maj_at_k_of_many_samples_is_quick_and_exact() -> None:
    found = estimators.maj_at_k([20, 18, 14, 6, 2], [True, False, False, False, False], 4)
    assert len(found) == 64
    assert found[0] == pytest.approx(20 / 64)
    assert found[-1] == 1.0


def test_maj_at_k_of_more_samples_than_a_float_can_count() -> None:
    """Two clusters: the smaller one's votes among k are hypergeometric."""
    found = estimators.maj_at_k([1050, 5], [True, False], 0)
    for k in (1, 2, 3, 8, 9, 10, 11, 500, 1055):
        votes = hypergeom(1055, 5, k)
        expected = votes.cdf(math.ceil(k / 2) - 1) + (votes.pmf(k // 2) / 2 if k % 2 == 0 else 0)
        assert found[k - 1] == pytest.approx(expected)


@pytest.fixture
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for a property that is checked hundreds of times."""
    monkeypatch.setattr(resampling, "RESAMPLES", 1000)


@pytest.mark.usefixtures("fewer_resamples")
def test_the_bootstrap_covers_what_it_says() -> None:
    rng = np.random.default_rng(1)
    hits, trials, chance = 0, 300, 0.6
    for trial in range(trials):
        found = resampling.mean_interval([float(x < chance) for x in rng.random(100)], seed=trial)
        hits += found.low <= chance <= found.high
    assert 0.90 <= hits / trials <= 0.985


def test_thirty_problems_say_little() -> None:
    """The note that stands under every AIME figure."""
    found = resampling.mean_interval([True] * 20 + [False] * 10)
    assert 0.14 < (found.high - found.low) / 2 < 0.19


def test_a_run_without_spread_still_has_an_interval() -> None:
    found = resampling.mean_interval([0.0] * 12)
    assert found.value == 0
    assert found.low == 0
    assert 0.2 < found.high < 0.3


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_pairs_of_one_sample_are_tested_as_mcnemar_does(pairs: list[tuple[bool, bool]]) -> None:
    one, two = zip(*pairs, strict=True)
    gained = sum(b and not a for a, b in pairs)
    lost = sum(a and not b for a, b in pairs)
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert resampling.paired_p(one, two) == pytest.approx(expected)


def test_the_paired_test_is_that_of_another_library() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.binomial(1, 0.5, 40), rng.binomial(3, 0.65, 40) / 3
    other = permutation_test(
        (one, two), lambda x, y, axis: np.mean(y - x, axis=axis), vectorized=True,
        permutation_type="samples", n_resamples=20_000, rng=2,
    )  # fmt: skip
    found = resampling.paired_p(one.tolist(), two.tolist())
    assert found == pytest.approx(other.pvalue, abs=0.02)


@pytest.mark.usefixtures("fewer_resamples")
def test_means_of_unequal_numbers_are_not_called_different() -> None:
    """A majority of nine solves more of what is easy than one try: that is no difference."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        easy = rng.beta(2, 1, 300)
        one, nine = rng.binomial(1, easy), rng.binomial(9, easy) / 9
        found.append(resampling.paired_p(one.tolist(), nine.tolist()))
    assert 0.01 < np.mean(np.array(found) < 0.05) < 0.1


def test_a_paired_difference_is_narrower_than_an_unpaired_one() -> None:
    rng = np.random.default_rng(0)
    one = rng.random(200)
    two = one + rng.normal(0.1, 0.01, 200)
    found = resampling.paired_difference(list(one), list(two))
    assert found.value == pytest.approx(0.1, abs=0.01)
    assert found.high - found.low < 0.01


@pytest.mark.parametrize("difference", [0.0, 1.0, -1.0, 0.1])
@pytest.mark.parametrize("n", [1, 30, 500])
def test_differences_that_are_all_alike_still_have_an_interval(difference: float, n: int) -> None:
    one = np.random.default_rng(0).random(n)
    found = resampling.paired_difference(list(one), list(one + difference))
    unseen = binomtest(0, n).proportion_ci(method="wilson").high
    assert found.value == pytest.approx(difference)
    assert found.low == pytest.approx((1 - unseen) * difference - unseen)
    assert found.high == pytest.approx((1 - unseen) * difference + unseen)
    assert found.low >= -1
    assert found.high <= 1


@pytest.mark.parametrize("n", [1, 12, 30, 1000])
def test_wilson_ends_where_shares_end(n: int) -> None:
    for hits in {0, 1, n}:
        other = binomtest(hits, n).proportion_ci(method="wilson")
        assert estimators.wilson(hits / n, n) == pytest.approx((other.low, other.high))
    assert estimators.wilson(0.0, n)[0] == 0.0
    assert estimators.wilson(1.0, n)[1] == 1.0


def test_coverage_and_its_law() -> None:
    law = scaling.PowerLaw(-1.2, -0.5, 0.0)
    curve = [law(k) for k in range(1, 33)]
    found = scaling.power_law(curve)
    assert found is not None
    assert found.a == pytest.approx(-1.2)
    assert found.b == pytest.approx(-0.5)
    assert found.error < 1e-9
    assert scaling.coverage([(4, 1), (4, 4)])[0] == pytest.approx(0.625)
    assert scaling.coverage([(4, 1), (4, 4)])[-1] == 1.0
    assert scaling.power_law([0.0, 0.0, 0.0]) is None


def test_saturation() -> None:
    curve = [0.8 * (1 - (1 - 0.3) ** k) for k in range(1, 17)]
    found = scaling.saturation(curve, gain=0.01)
    assert found is not None
    assert found.p == pytest.approx(0.3, abs=0.002)
    assert found.ceiling == pytest.approx(0.8, abs=0.01)
    gains = [0.8 * 0.3 * 0.7**n for n in range(30)]
    assert found.samples == next(n for n, gain in enumerate(gains) if gain <= 0.01)
    assert scaling.saturation([0.0, 0.0]) is None


def test_solved_within_a_budget() -> None:
    rows = [(True, 10), (True, 30), (False, 5), (True, 90)]
    assert scaling.solved_within(rows, [5, 10, 50, 100]) == [0, 0.25, 0.5, 0.75]
    assert scaling.solved_within([], [1]) == [0]
    assert scaling.solved_within([(True, 10), (False, None)], [20]) == [0.5]
    assert scaling.solved_within([(True, None), (True, 10)], [20, 30]) == [None, None]
