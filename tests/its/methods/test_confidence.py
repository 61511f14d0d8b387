"""Log-probabilities: their summary, and the two distributions, against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from its.methods.confidence import WINDOW, _fit, improbable, measure
from its.methods.seam import Logprobs


def test_a_reply_is_summed_up() -> None:
    assert measure([-1.0, -3.0]) == Logprobs(-2.0)
    assert measure([-1.0], [[-1.0, -3.0]]) == Logprobs(-1.0, 2.0, 2.0)
    assert measure([]) is None


def test_the_tail_and_the_worst_window() -> None:
    places = [[-1.0]] * WINDOW + [[-5.0]] * WINDOW + [[-3.0]] * WINDOW
    found = measure([-1.0], places)
    assert found is not None
    assert (found.tail, found.worst) == (3.0, 1.0)


def test_what_has_no_probability_stays_finite() -> None:
    found = measure([float("-inf"), float("nan"), -9999.0], [[float("-inf"), -9999.0]])
    assert found == Logprobs(-50.0, 50.0, 50.0)


@pytest.mark.parametrize(("shape", "scale"), [(1.5, 0.3), (4.0, 0.7), (20.0, 0.9)])
def test_the_fit_is_scipys(shape: float, scale: float) -> None:
    values = stats.weibull_min(shape, scale=scale).rvs(200, random_state=0)
    weight, fitted, width = _fit(list(values), [1.0] * 200)
    expected, _, expected_scale = stats.weibull_min.fit(values, floc=0)
    assert weight == pytest.approx(1.0)
    assert fitted == pytest.approx(expected, rel=1e-3)
    assert width == pytest.approx(expected_scale, rel=1e-3)


def test_the_improbable_group_is_left_out() -> None:
    rng = np.random.default_rng(0)
    low, high = rng.normal(0.2, 0.02, 10), rng.normal(0.8, 0.02, 10)
    assert improbable([*low, *high]) == set(range(10))


def test_nothing_is_left_out_where_two_groups_cannot_be_told_apart() -> None:
    assert improbable([0.1, 0.9, 0.8]) == set()
    assert improbable([0.5] * 12) == set()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=24))
def test_something_always_votes(shares: list[float]) -> None:
    assert len(improbable(shares)) < max(1, len(shares))
    assert all(shares[n] < math.fsum(shares) / len(shares) + 1e-6 for n in improbable(shares))
