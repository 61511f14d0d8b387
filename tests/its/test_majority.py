"""The vote: ties, abstentions, early stop."""

import itertools
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from its.answers import Comparison, compare, parse
from its.methods import METHODS, Majority
from its.types import Answer, Ballot, Call, Completion

MEMBERS = ["a", "b", "c"]
METHOD = Majority()


def ballot(member: str, value: int | None, sample: int = 0) -> Ballot:
    choice = {"message": {"role": "assistant", "content": str(value)}, "finish_reason": "stop"}
    answer = None if value is None else Answer(str(value), value)
    return Ballot(Completion(Call(member, sample), choice, {}, 0.1), answer)


def text_ballot(call: Call, text: str | None) -> Ballot:
    choice = {"message": {"role": "assistant", "content": str(text)}, "finish_reason": "stop"}
    return Ballot(Completion(call, choice, {}, 0.1), None if text is None else parse(text))


def winner(*values: int | None) -> tuple[str, float]:
    ballots = [ballot(member, value) for member, value in zip(MEMBERS, values, strict=False)]
    verdict = METHOD.decide(ballots, METHOD.plan(MEMBERS, 1))
    return verdict.winner.completion.call.member, verdict.agreement


def test_the_plan_asks_every_member_before_any_twice() -> None:
    plan = METHOD.plan(["a", "b"], 2)
    assert plan == [Call("a", 0), Call("b", 0), Call("a", 1), Call("b", 1)]


def test_two_against_one() -> None:
    assert winner(1, 2, 2) == ("b", 2 / 3)


def test_a_tie_goes_to_the_configured_order() -> None:
    assert winner(3, 2, 1) == ("a", 1 / 3)


def test_an_abstention_never_beats_an_answer() -> None:
    assert winner(None, None, 5) == ("c", 1 / 3)


def test_all_abstaining_returns_the_first_completion() -> None:
    assert winner(None, None, None) == ("a", 0.0)


answers = st.lists(st.none() | st.integers(0, 2), min_size=1, max_size=9)


@given(answers, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(values: list[int | None], rng: Random) -> None:
    plan = METHOD.plan(MEMBERS, 3)
    ballots = [ballot(c.member, v, c.sample) for c, v in zip(plan, values, strict=False)]
    expected = METHOD.decide(ballots, plan)
    rng.shuffle(ballots)
    assert METHOD.decide(ballots, plan) == expected


@given(st.lists(st.none() | st.integers(0, 2), min_size=5, max_size=5))
def test_once_settled_no_later_ballot_changes_the_winning_answer(
    values: list[int | None],
) -> None:
    plan = METHOD.plan(list("abcde"), 1)
    ballots = [ballot(c.member, v) for c, v in zip(plan, values, strict=True)]
    final = METHOD.decide(ballots, plan).winner.answer
    for size in range(1, 6):
        for arrived in itertools.combinations(ballots, size):
            if METHOD.settled(arrived, 5):
                assert METHOD.decide(arrived, plan).winner.answer == final


SHARES = [None, "5", "5%", "0.05", "5 cm", "5 m", "5.0"]
"""Answers whose equality is not transitive: 5 = 5% = 0.05, but 5 is not 0.05."""


def test_these_equalities_are_not_transitive() -> None:
    whole, share, decimal = (parse(text) for text in ("5", "5%", "0.05"))
    assert whole is not None
    assert share is not None
    assert decimal is not None
    assert compare(whole, share) is compare(share, decimal) is Comparison.EQUAL
    assert compare(whole, decimal) is Comparison.DIFFERENT


@settings(deadline=None)  # the first expression of a process starts its worker
@given(st.lists(st.sampled_from(SHARES), min_size=5, max_size=5))
def test_a_settled_vote_stands_in_every_order_of_arrival(texts: list[str | None]) -> None:
    plan = METHOD.plan(list("abcde"), 1)
    ballots = [text_ballot(call, text) for call, text in zip(plan, texts, strict=True)]
    final = METHOD.decide(ballots, plan)
    largest = {id(ballot) for ballot in final.tally[0].ballots} if final.tally else set()
    for arrived in itertools.permutations(ballots):
        for size in range(1, 6):
            if METHOD.settled(arrived[:size], 5):
                verdict = METHOD.decide(arrived[:size], plan)
                stays = {id(ballot) for ballot in verdict.tally[0].ballots} & largest
                assert 2 * len(stays) > 5
                break


def test_the_table_names_the_method() -> None:
    assert METHODS["majority"] is Majority
