"""Adaptive stopping: what is asked, when it ends, and the posterior against scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from its.methods.adaptive import posterior
from tests.its.methods.driving import boxed, case, drive


def test_two_that_agree_are_enough_at_this_confidence() -> None:
    done = drive(*case("adaptive", "ab", 4, options={"confidence": 0.85}), boxed(*[1] * 8))
    assert done.asked == [("a", "answer-0", "answer", 0), ("b", "answer-1", "answer", 0)]
    account = done.verdict.account
    assert account == {"votes": [2], "stopped": "confident", "confidence": 0.875}
    assert done.verdict.decided


def test_it_stops_where_the_vote_would_have_found_another_winner() -> None:
    values = (1, 1, 2, 2, 2)
    options = {"confidence": 0.85}
    vote = drive(*case("majority", "abcde", early_stop=False), boxed(*values))
    done = drive(*case("adaptive", "abcde", options=options), boxed(*values))
    assert (vote.said, done.said) == ("so \\boxed{2}", "so \\boxed{1}")
    assert len(done.calls) == 2


def test_it_goes_on_while_it_is_unsure_with_the_members_in_turn() -> None:
    done = drive(*case("adaptive", "ab", 3, options={"confidence": 0.9}), boxed(1, 2, 2, 2, 2, 2))
    assert [call.member for call in done.calls] == list("ababa")
    assert [call.round for call in done.calls] == [0, 0, 1, 2, 3]
    # 2, 2 and 2 against 1 are 0.8125 sure, one more 0.890625; then it holds a majority of six.
    assert done.verdict.account["stopped"] == "settled"


def test_steps_and_the_most_calls() -> None:
    options = {"confidence": 1.0, "first": 3, "step": 2, "at_most": 6}
    done = drive(*case("adaptive", "ab", options=options), boxed(1, 2, 3, 4, 5, 6))
    assert [call.round for call in done.calls] == [0, 0, 0, 1, 1, 2]
    assert done.verdict.account["stopped"] == "all asked"
    assert not done.verdict.decided


@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("second", range(8))
def test_the_beta_posterior_is_scipys(first: int, second: int) -> None:
    expected = stats.beta.sf(0.5, first + 1, second + 1)
    assert math.isclose(posterior([first, second]), expected, rel_tol=1e-9)


@pytest.mark.parametrize("votes", [(2, 1, 1), (5, 2, 1, 1), (1, 1, 1), (40, 30, 3), (3, 3, 3, 3)])
def test_the_dirichlet_posterior_is_that_of_draws(votes: tuple[int, ...]) -> None:
    draws = np.random.default_rng(0).dirichlet([count + 1 for count in votes], 200_000)
    share = float((draws.argmax(1) == 0).mean())
    assert posterior(votes, "dirichlet") == pytest.approx(share, abs=0.005)


def test_two_answers_have_one_posterior_of_both_kinds() -> None:
    from its.methods.adaptive import _dirichlet

    assert _dirichlet([5, 2]) == pytest.approx(posterior([5, 2]), abs=1e-6)
    assert posterior([]) == 0.0
