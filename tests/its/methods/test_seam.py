"""The rounds that programs are made of."""

from collections.abc import Sequence

import pytest

from its.methods.seam import Call, Reply, Round, TimeUp, any_late, came, every, until

CALLS = [Call("a", "x"), Call("a", "y"), Call("b", "z")]


def replies(round: Round, sent: Sequence[Reply]) -> list[Reply]:
    """Send replies to a round until it ends."""
    assert list(next(round)) == CALLS
    for reply in sent[:-1]:
        assert list(round.send(reply)) == []
    with pytest.raises(StopIteration) as ended:
        round.send(sent[-1])
    found: list[Reply] = ended.value.value
    return found


def test_a_round_returns_its_replies_in_the_order_asked() -> None:
    x, y, z = (Reply(call) for call in CALLS)
    assert replies(every(CALLS), [z, x, y]) == [x, y, z]


def test_a_round_of_no_calls_asks_nothing() -> None:
    with pytest.raises(StopIteration) as ended:
        next(every([]))
    assert ended.value.value == []


def test_a_round_ends_as_soon_as_it_is_enough() -> None:
    x, _, z = (Reply(call) for call in CALLS)
    assert replies(until(CALLS, lambda got: len(got) == 2), [z, x]) == [x, z]


def test_replies_to_calls_of_an_earlier_round_are_passed_over() -> None:
    x, y, z = (Reply(call) for call in CALLS)
    stray = Reply(Call("c", "earlier"))
    assert replies(every(CALLS), [x, stray, y, stray, z]) == [x, y, z]


def test_after_the_deadline_every_call_is_late() -> None:
    round = every(CALLS)
    next(round)
    with pytest.raises(StopIteration) as ended:
        round.throw(TimeUp())
    late: list[Reply] = ended.value.value
    assert [(reply.call.name, reply.outcome) for reply in late] == [
        *(("x", "late"), ("y", "late"), ("z", "late")),
    ]
    assert (came(late), any_late(late)) == ([], True)


def test_a_reply_that_was_cut_is_there_but_not_complete() -> None:
    cut = Reply(CALLS[0], finish_reason="length")
    assert (cut.ok, cut.complete) == (True, False)
    assert not Reply(CALLS[0], "failed").complete
