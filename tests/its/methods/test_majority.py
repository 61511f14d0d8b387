"""The vote: ties, abstentions, early stop, and what it abstains from."""

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from its.answers import parse
from its.methods.seam import Call, Reply
from its.methods.votes import settled, vote
from tests.its.methods.driving import boxed, case, drive


def test_every_member_is_asked_before_any_twice() -> None:
    done = drive(*case("majority", "ab", 2, early_stop=False), boxed(1, 2, 2, 3))
    assert done.asked == [
        ("a", "answer-0", "answer", 0),
        ("b", "answer-1", "answer", 0),
        ("a", "answer-2", "answer", 0),
        ("b", "answer-3", "answer", 0),
    ]
    assert all(call.messages is None for call in done.calls)  # the client's own
    assert done.said == "so \\boxed{2}"
    assert done.verdict.account == {"votes": [2, 1, 1], "stopped": "all asked"}


@pytest.mark.parametrize(
    ("values", "winner", "agreement", "decided"),
    [
        ((1, 2, 2), "answer-1", 2 / 3, True),
        ((3, 2, 1), "answer-0", 1 / 3, False),
        ((None, "", 5), "answer-2", 1 / 3, False),
        (("", "", ""), "answer-0", 0.0, False),
        ((1, 1, None), "answer-0", 2 / 3, True),
        ((None, 4, None), "answer-1", 1 / 3, False),
    ],
)
def test_verdicts(
    values: tuple[int | str | None, ...], winner: str, agreement: float, decided: bool
) -> None:
    verdict = drive(*case("majority", early_stop=False), boxed(*values)).verdict
    assert verdict.winner is not None
    assert (verdict.winner.call.name, verdict.agreement, verdict.decided) == (
        *(winner, agreement, decided),
    )


def test_two_of_three_that_agree_end_the_vote() -> None:
    done = drive(*case("majority"), boxed(1, 1, 2))
    assert len(done.replies) == 2
    assert done.verdict.account["stopped"] == "settled"


@pytest.mark.parametrize(
    ("keys", "replies"),
    [({"early_stop": False}, 3), ({"quorum": 3}, 3), ({"options": {"threshold": 0.9}}, 3)],
)
def test_what_keeps_a_vote_from_ending_early(keys: dict[str, object], replies: int) -> None:
    assert len(drive(*case("majority", **keys), boxed(1, 1, 2)).replies) == replies


def test_it_abstains_below_its_threshold() -> None:
    options = {"threshold": 0.75, "below": "abstain"}
    verdict = drive(*case("majority", options=options), boxed(1, 1, 2)).verdict
    assert (verdict.withheld, verdict.decided) == (True, False)
    assert verdict.winner is not None
    verdict = drive(*case("majority", options=options), boxed(1, 1, 1)).verdict
    assert (verdict.withheld, verdict.decided) == (False, True)


def test_another_method_takes_over_below_the_threshold() -> None:
    below = {"method": "majority", "members": ["d", "e", "f"], "samples": 1}
    at = case("majority", options={"threshold": 0.75, "below": below}, early_stop=False)

    def says(call: Call) -> str:
        return "\\boxed{7}" if call.member in "def" else f"\\boxed{{{call.name[-1]}}}"

    done = drive(*at, says)
    assert done.asked[3:] == [
        ("d", "below/answer-0", "answer", 1),
        ("e", "below/answer-1", "answer", 1),
        ("f", "below/answer-2", "answer", 1),
    ]
    assert done.said == "\\boxed{7}"
    assert done.verdict.account["below"]["method"] == "majority"
    assert done.verdict.account["below_threshold"]


SHARES = [None, "5", "5%", "0.05", "5 cm", "5 m", "5.0"]
"""Answers whose equality is not transitive: 5 = 5% = 0.05, but 5 is not 0.05."""


@settings(deadline=None)
@given(st.lists(st.sampled_from(SHARES), min_size=5, max_size=5))
def test_a_settled_vote_stands_in_every_order_of_arrival(texts: list[str | None]) -> None:
    at = case("majority", "abcde")[1]
    replies = [
        Reply(call, answer=None if text is None else parse(text))
        for call, text in zip(at.answers(5), texts, strict=True)
    ]
    final = vote(replies, None, 5)
    largest = {r.call.name for r in final.clusters[0].ballots} if final.clusters else set()
    for arrived in itertools.permutations(replies):
        for size in range(1, 6):
            if settled(arrived[:size], at, 5):
                first = sorted(arrived[:size], key=lambda reply: reply.call.name)
                best = vote(first, None, 5).clusters[0].ballots
                assert 2 * len({r.call.name for r in best} & largest) > 5
                break


@given(st.lists(st.none() | st.integers(0, 2), min_size=9, max_size=9), st.randoms())
def test_the_order_of_arrival_does_not_matter(values: list[int | None], rng: Random) -> None:
    at = case("majority", "abc", 3, early_stop=False)
    ordered = drive(*at, boxed(*values)).verdict
    assert drive(*at, boxed(*values), order=Random(rng.random())).verdict == ordered
