"""Estimators against enumeration, simulation and an independent library."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, hypergeom, permutation_test

from eval.figures import estimators, intervals, scaling


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


def test_thirty_problems_say_little() -> None:
    """The note that stands under every AIME figure."""
    found = intervals.mean_interval([1.0] * 20 + [0.0] * 10)
    assert 0.14 < (found.high - found.low) / 2 < 0.19


@given(st.integers(1, 400), st.data())
def test_one_sample_a_problem_has_wilsons_interval(n: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    found = intervals.mean_interval([1.0] * right + [0.0] * (n - right))
    other = binomtest(right, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-9)


def test_an_interval_does_not_jump_where_one_problem_is_lost() -> None:
    """By bootstrap 29 of 30 was said to be at least 90%, and 30 of 30 at least 88.6%."""
    all_right = intervals.mean_interval([1.0] * 30)
    one_wrong = intervals.mean_interval([1.0] * 29 + [0.0])
    one_in_part = intervals.mean_interval([1.0] * 29 + [15 / 16])
    assert one_wrong.low < one_in_part.low
    assert one_wrong.low < all_right.low
    assert all_right.high == 1.0


@given(st.lists(st.integers(0, 16), min_size=1, max_size=60))
def test_several_samples_tell_no_less_than_one(right: list[int]) -> None:
    shares = [count / 16 for count in right]
    found = intervals.mean_interval(shares)
    assert 0 <= found.low <= found.value <= found.high <= 1
    low, high = estimators.wilson(found.value, len(shares))
    assert found.high - found.low <= high - low + 1e-9


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=60))
def test_a_running_share_has_the_interval_of_the_table(samples: list[tuple[int, bool]]) -> None:
    running = intervals.RunningShare()
    problems: dict[int, list[bool]] = {}
    for key, right in samples:
        running.add(str(key), right)
        problems.setdefault(key, []).append(right)
    found = running.interval()
    table = intervals.mean_interval([sum(each) / len(each) for each in problems.values()])
    assert (found.value, found.low, found.high) == pytest.approx(
        (table.value, table.low, table.high), abs=1e-7
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=40))
def test_a_ratio_lies_in_its_interval(rows: list[tuple[float, float]]) -> None:
    whole = [each for _, each in rows]
    part = [share * each for share, each in rows]
    found = intervals.ratio_interval(part, whole)
    assert found is not None
    assert found.value == pytest.approx(sum(part) / sum(whole))
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


def test_a_ratio_of_everything_is_the_mean() -> None:
    shares = [0.25, 1.0, 0.5, 0.0, 0.75, 1.0]
    found, mean = intervals.ratio_interval(shares, [1.0] * 6), intervals.mean_interval(shares)
    assert found is not None
    assert (found.low, found.value, found.high) == pytest.approx((mean.low, mean.value, mean.high))
    assert intervals.ratio_interval([0.0], [0.0]) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_pairs_of_one_sample_are_tested_as_mcnemar_does(pairs: list[tuple[bool, bool]]) -> None:
    one, two = zip(*pairs, strict=True)
    gained = sum(b and not a for a, b in pairs)
    lost = sum(a and not b for a, b in pairs)
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert intervals.paired(one, two).p == pytest.approx(expected)


def test_the_paired_interval_is_tangos() -> None:
    """Where no pair differs, his interval is +-z^2 / (n + z^2); above p = .05 it holds 0."""
    one, two = [0.0] * 30, [0.0] * 30
    none_differ = intervals.paired(one, two).difference
    assert (none_differ.low, none_differ.high) == pytest.approx((-0.1135, 0.1135), abs=1e-4)
    four = intervals.paired(one, [1.0] * 4 + [0.0] * 26)
    assert four.p == pytest.approx(0.125)
    assert (four.difference.low, four.difference.high) == pytest.approx((0.0, 0.2968), abs=1e-4)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_an_interval_and_its_p_never_contradict(
    pairs: list[tuple[int, int]], same_samples: bool
) -> None:
    one, two = [a / 4 for a, _ in pairs], [b / 4 for _, b in pairs]
    found = intervals.paired(one, two, same_samples=same_samples)
    share = found.difference
    assert (share.low <= 0 <= share.high) == (found.p > 0.05)
    assert -1 <= share.low <= share.value <= share.high <= 1
    assert 0 < found.p <= 1


def test_the_paired_test_is_that_of_another_library() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.binomial(3, 0.5, 40) / 3, rng.binomial(3, 0.6, 40) / 3
    other = permutation_test(
        (one, two), lambda x, y, axis: np.mean(y - x, axis=axis), vectorized=True,
        permutation_type="samples", n_resamples=20_000, rng=2,
    )  # fmt: skip
    found = intervals.paired(one.tolist(), two.tolist()).p
    assert found == pytest.approx(other.pvalue, abs=0.02)


def test_a_paired_difference_is_narrower_than_an_unpaired_one() -> None:
    rng = np.random.default_rng(0)
    one = 0.8 * rng.random(200)
    two = one + rng.normal(0.1, 0.01, 200)
    found = intervals.paired(list(one), list(two)).difference
    assert found.value == pytest.approx(0.1, abs=0.01)
    assert found.high - found.low < 0.05


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
