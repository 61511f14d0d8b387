"""Permutations of checkpoints within blocks, against enumeration and an independent library."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from eval.figures import permutation
from eval.figures.permutation import blocked, holm


def two_arms(one: list[float], two: list[float]) -> permutation.GroupTest:
    seeds = [*range(len(one))]
    return blocked([*one, *two], [False] * len(one) + [True] * len(two), [*seeds, *seeds])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=7))
@settings(deadline=None, max_examples=60)
def test_two_arms_in_blocks_are_permuted_exactly(pairs: list[tuple[float, float]]) -> None:
    one, two = [a for a, _ in pairs], [b for _, b in pairs]
    differences = np.array(two) - np.array(one)
    every = [
        abs(float(np.mean(differences * np.array(s)))) for s in product((1, -1), repeat=len(one))
    ]
    expected = np.mean([each >= abs(differences.mean()) - 1e-9 for each in every])
    found = two_arms(one, two)
    assert found.p == pytest.approx(expected)
    assert found.difference == pytest.approx(differences.mean())
    assert found.smallest == pytest.approx(2 / 2 ** len(one))
    assert found.interval is not None
    assert found.p is not None
    assert (found.interval.low <= 0 <= found.interval.high) == (found.p > 0.05)


def test_two_arms_are_tested_as_another_library_does() -> None:
    rng = np.random.default_rng(5)
    one, two = rng.normal(0.5, 0.05, 8), rng.normal(0.55, 0.05, 8)
    other = permutation_test(
        (one, two), lambda x, y, axis: np.mean(y - x, axis=axis), vectorized=True,
        permutation_type="samples", n_resamples=np.inf,
    )  # fmt: skip
    assert two_arms(one.tolist(), two.tolist()).p == pytest.approx(other.pvalue)


def test_checkpoints_of_another_seed_are_not_exchanged() -> None:
    """What a seed does to all arms is no evidence, and hides none."""
    rng = np.random.default_rng(0)
    luck = rng.normal(0, 0.3, 8)
    noise = rng.normal(0, 0.001, 8)
    found = two_arms(luck.tolist(), (luck + 0.02 + noise).tolist())
    assert found.p == pytest.approx(2 / 2**8)
    assert found.interval is not None
    assert found.interval.low > 0.01


def test_several_strategies_against_one() -> None:
    values, treated = [0.1, 0.5, 0.6, 0.7, 0.2, 0.5, 0.5, 0.5], [False, True, True, True] * 2
    found = blocked(values, treated, [0] * 4 + [1] * 4)
    assert found.difference == pytest.approx((0.6 - 0.1 + 0.5 - 0.2) / 2)
    assert (found.treated, found.others) == (6, 2)
    assert found.p == pytest.approx(1 / 16)
    assert found.smallest == pytest.approx(1 / 16)


def test_many_arrangements_are_drawn_and_never_give_zero() -> None:
    rng = np.random.default_rng(1)
    found = two_arms(rng.normal(0, 0.01, 20).tolist(), rng.normal(1, 0.01, 20).tolist())
    assert found.p == pytest.approx(1 / (permutation.DRAWS + 1))


def test_one_checkpoint_in_a_group_gives_no_p_and_says_why() -> None:
    found = blocked([0.5, 0.6, 0.7, 0.4], [True, True, True, False], [0, 0, 0, 0])
    assert (found.p, found.interval) == (None, None)
    assert found.difference == pytest.approx(0.2)
    assert found.why
    assert "single checkpoint" in found.why


def test_groups_that_share_no_seed_give_no_p() -> None:
    found = blocked([0.5, 0.6, 0.2, 0.3], [True, True, False, False], [0, 1, 2, 3])
    assert found.p is None
    assert found.difference == pytest.approx(0.3)
    assert found.why == "no training seed has checkpoints of both groups"


def test_a_seed_with_one_group_only_says_nothing() -> None:
    whole = blocked([0.1, 0.4, 0.2, 0.6], [False, True, False, True], [0, 0, 1, 1])
    more = blocked([0.1, 0.4, 0.2, 0.6, 9.0], [False, True, False, True, True], [0, 0, 1, 1, 2])
    assert more == whole


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
