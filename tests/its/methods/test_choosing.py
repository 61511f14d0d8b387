"""Methods that choose among drafts, each where a majority chooses otherwise."""

from typing import Any

import pytest
from msgspec.structs import replace

from its.methods import prompts
from its.methods.seam import Call, Logprobs, Reply
from tests.its.methods.driving import QUESTION, Says, boxed, case, drive, reply_to

TWO_AGAINST_ONE = boxed(1, 1, 2)


def judged(says_of: dict[str, str]) -> Says:
    """Answer drafts with 1, 1, 2, and a judge's call by the draft that stands in it."""

    def says(call: Call) -> str | None:
        if call.role == "answer":
            return TWO_AGAINST_ONE(call)  # type: ignore[return-value]
        assert call.messages is not None
        shown = call.messages[-1]["content"]
        return next((said for draft, said in says_of.items() if draft in shown), None)

    return says


def test_a_majority_chooses_the_first_answer() -> None:
    assert drive(*case("majority"), TWO_AGAINST_ONE).said == "so \\boxed{1}"


def test_escalate_asks_a_stronger_member_where_the_cheap_ones_disagree() -> None:
    def says(call: Call) -> str:
        return (
            "so \\boxed{2}" if call.member == "s" else f"so \\boxed{{{'113'[int(call.name[-1])]}}}"
        )

    options = {"stronger": "s"}
    done = drive(*case("escalate", options=options), says)
    assert done.asked[3:] == [("s", "stronger-0", "answer", 1)]
    assert done.calls[3].messages is None  # the stronger one answers the client's own question
    assert done.said == "so \\boxed{2}"
    account = done.verdict.account
    assert (account["escalated"], account["agreement_before"]) == (True, 0.6667)
    assert done.verdict.decided
    low = drive(*case("escalate", options={**options, "escalate_below": 0.6}), says)
    assert (low.said, len(low.replies)) == ("so \\boxed{1}", 2)  # two of three settled it
    assert not low.verdict.account["escalated"]


def test_escalate_asks_every_member_of_a_panel() -> None:
    at = case("escalate", "ab", options={"stronger": "big"}, panels={"big": ("x", "y", "x")})
    done = drive(*at, lambda call: f"\\boxed{{{ {'a': 1, 'b': 2}.get(call.member, 3) }}}")
    assert [call.member for call in done.calls] == list("abxyx")
    assert done.verdict.agreement == 9 / 11  # a stronger answer weighs 3, a cheap one 1


def test_the_cheap_ones_stand_if_the_stronger_fails() -> None:
    says = boxed(1, 1, 2)
    done = drive(
        *case("escalate", options={"stronger": "s"}),
        lambda call: None if call.member == "s" else says(call),
    )
    assert done.said == "so \\boxed{1}"


def test_first_finish_takes_what_is_done_first_and_cancels_the_rest() -> None:
    says = boxed(2, 1, 1)
    done = drive(*case("first_finish", "a", 3), says)
    assert (done.said, len(done.calls), len(done.replies)) == ("so \\boxed{2}", 3, 1)
    assert done.verdict.decided is None
    assert done.verdict.account["stopped"] == "finished"

    def cut(call: Call) -> Reply:
        said = says(call)
        assert isinstance(said, str)
        first = call.name == "answer-0"
        return replace(reply_to(call, said), finish_reason="length" if first else "stop")

    assert drive(*case("first_finish", "a", 3), cut).said == "so \\boxed{1}"


def test_first_finish_votes_among_the_first() -> None:
    done = drive(*case("first_finish", "a", 5, options={"votes": 3}), boxed(2, 2, 1, 1, 1))
    assert (done.said, len(done.replies)) == ("so \\boxed{2}", 3)
    assert (done.verdict.decided, done.verdict.agreement) == (True, 2 / 3)


def sure(*means: float, **rest: Any) -> Says:
    """Answer 1, 1, 2 with these mean log-probabilities."""

    def says(call: Call) -> Reply:
        said = TWO_AGAINST_ONE(call)
        assert isinstance(said, str)
        logprobs = Logprobs(means[int(call.name[-1])], **rest)
        return replace(reply_to(call, said), logprobs=logprobs)

    return says


def test_weighted_counts_how_sure_a_model_was() -> None:
    done = drive(*case("weighted"), sure(-2.0, -2.0, -0.1))
    assert done.said == "so \\boxed{2}"
    assert [dict(call.params) for call in done.calls] == [{"logprobs": True}] * 3
    weights = done.verdict.account["weights"]
    assert weights["answer-2"] == pytest.approx(0.904837)
    assert done.verdict.decided
    assert done.verdict.agreement == pytest.approx(0.904837 / (0.904837 + 2 * 0.135335), abs=1e-5)


def test_weighted_by_the_tail_asks_for_the_likeliest_tokens_and_keeps_the_surest() -> None:
    def says(call: Call) -> Reply:
        said = TWO_AGAINST_ONE(call)
        assert isinstance(said, str)
        n = int(call.name[-1])
        return replace(reply_to(call, said), logprobs=Logprobs(-1.0, tail=[5.0, 6.0, 9.0][n]))

    done = drive(*case("weighted", options={"measure": "tail"}), says)
    assert dict(done.calls[0].params) == {"logprobs": True, "top_logprobs": 20}
    assert done.said == "so \\boxed{1}"  # 11 against 9
    assert drive(*case("weighted", options={"measure": "tail", "share": 0.3}), says).said == (
        "so \\boxed{2}"
    )


def test_without_any_log_probabilities_weighted_is_a_plain_vote() -> None:
    done = drive(*case("weighted"), TWO_AGAINST_ONE)
    assert (done.said, done.verdict.account["weights"]) == ("so \\boxed{1}", {})


def test_best_of_takes_the_draft_that_the_judge_likes_best() -> None:
    says = judged({"boxed{1}": "Wrong.\nScore: 3", "boxed{2}": "Right.\n**Score: 9/10**"})
    done = drive(*case("best_of", options={"judge": "j"}), says)
    assert done.said == "so \\boxed{2}"
    assert [call.role for call in done.calls] == ["answer"] * 3 + ["judge"] * 3
    assert sorted(done.asked[3:]) == [("j", f"judge-{n}-0", "judge", 1) for n in range(3)]
    judge = done.calls[3]
    assert judge.messages is not None
    assert judge.messages[:2] == (QUESTION, {"role": "assistant", "content": prompts.BRIDGE})
    turn = judge.messages[2]["content"]
    assert turn.startswith(prompts.SCORE)
    assert turn.endswith(prompts.SCORE_END)
    assert "answer-" not in turn  # no names
    assert judge.params["response_format"] is None
    assert (judge.params["temperature"], judge.params["max_tokens"]) == (0.0, 1_024)
    verdict = done.verdict
    assert verdict.account["scores"] == {"answer-0": [3.0], "answer-1": [3.0], "answer-2": [9.0]}
    assert (verdict.decided, verdict.agreement) == (True, 0.9)
    assert len(verdict.account["prompt_sha256"]) == 64


def test_drafts_are_asked_about_in_an_order_that_the_seed_gives() -> None:
    says = judged({"boxed{1}": "Score: 3", "boxed{2}": "Score: 9"})
    orders = {
        tuple(call.name for call in drive(*at, says).calls[3:])
        for at in (case("best_of", options={"judge": "j"}, seed=seed) for seed in range(20))
    }
    assert len(orders) > 3


def test_best_of_adds_up_the_votes_of_its_judge() -> None:
    def says(call: Call) -> str:
        if call.role == "answer":
            return str(TWO_AGAINST_ONE(call))
        _, draft, vote = call.name.split("-")
        return f"Score: {[[9, 2], [5, 5], [8, 7]][int(draft)][int(vote)]}"

    done = drive(*case("best_of", options={"judge": "j", "votes": 2}), says)
    assert done.said == "so \\boxed{2}"
    assert {call.params["temperature"] for call in done.calls[3:]} == {0.7}


def test_best_of_shows_all_drafts_together_in_another_order_each_time() -> None:
    orders = []

    def says(call: Call) -> str:
        if call.role == "answer":
            return f"draft {call.name[-1]} \\boxed{{{'112'[int(call.name[-1])]}}}"
        assert call.messages is not None
        shown = call.messages[-1]["content"]
        order = sorted("012", key=lambda n: shown.index(f"draft {n}"))
        orders.append(tuple(order))
        return "\n".join(f"Score {k}: {[2, 3, 8][int(n)]}" for k, n in enumerate(order, 1))

    options = {"judge": "j", "together": True, "votes": 5}
    done = drive(*case("best_of", options=options), says)
    assert done.said == "draft 2 \\boxed{2}"
    assert len(done.calls) == 8
    assert len(set(orders)) > 1
    assert done.verdict.account["scores"]["answer-2"] == [8.0] * 5


def test_best_of_by_a_reward_model_sends_it_question_and_draft() -> None:
    def says(call: Call) -> str | Reply | None:
        if call.role == "score":
            return Reply(call, score={"0": -1.5, "1": 0.2, "2": 0.7}[call.name.split("-")[1]])
        return TWO_AGAINST_ONE(call)

    done = drive(*case("best_of", options={"scorer": "r"}), says)
    assert done.said == "so \\boxed{2}"
    first = next(call for call in done.calls if call.name == "judge-0-0")
    assert (first.member, first.role) == ("r", "score")
    answer = {"role": "assistant", "content": "so \\boxed{1}"}
    assert first.messages == (QUESTION, answer)


def test_a_tie_of_scores_goes_to_the_answer_with_more_votes() -> None:
    says = judged({"boxed": "Score: 7"})
    done = drive(*case("best_of", "abc", options={"judge": "j"}), says)
    assert (done.said, done.verdict.decided) == ("so \\boxed{1}", False)


def test_the_vote_stands_undecided_if_the_judge_says_nothing() -> None:
    done = drive(*case("best_of", options={"judge": "j"}), judged({}))
    assert (done.said, done.verdict.decided) == ("so \\boxed{1}", False)


def test_a_draft_whose_judge_failed_is_not_the_worst() -> None:
    done = drive(*case("best_of", options={"judge": "j"}), judged({"boxed{2}": "Score: 1"}))
    assert (done.said, done.verdict.decided) == ("so \\boxed{1}", False)


def test_a_judge_that_is_cut_short_has_said_nothing() -> None:
    def says(call: Call) -> str | Reply | None:
        if call.role == "answer":
            return TWO_AGAINST_ONE(call)
        return replace(reply_to(call, "Score: 10"), finish_reason="length")

    scores = drive(*case("best_of", options={"judge": "j"}), says).verdict.account["scores"]
    assert scores == {f"answer-{n}": [None] for n in range(3)}


def test_best_of_abstains_where_the_best_score_is_low() -> None:
    options = {"judge": "j", "threshold": 0.6, "below": "abstain"}
    low = judged({"boxed{1}": "Score: 3", "boxed{2}": "Score: 5"})
    assert drive(*case("best_of", options=options), low).verdict.withheld
    high = judged({"boxed{1}": "Score: 3", "boxed{2}": "Score: 6"})
    assert not drive(*case("best_of", options=options), high).verdict.withheld


def prefers(best: int) -> Says:
    """Answer 1, 1, 2; compare by which candidate holds the answer `best`."""

    def says(call: Call) -> str | None:
        if call.role == "answer":
            return TWO_AGAINST_ONE(call)  # type: ignore[return-value]
        assert call.messages is not None
        shown = call.messages[-1]["content"]
        first, _, second = shown.partition("Candidate 2 begins")
        here, there = (f"boxed{{{best}}}" in part for part in (first, second))
        return f"Better: {1 if here else 2}" if here != there else "Better: neither"

    return says


def test_tournament_compares_different_answers_in_both_orders() -> None:
    done = drive(*case("tournament", options={"judge": "j"}), prefers(2))
    assert done.said == "so \\boxed{2}"
    assert done.asked[3:] == [("j", "judge-0-1", "judge", 1), ("j", "judge-1-0", "judge", 1)]
    turns = [call.messages[-1]["content"] for call in done.calls[3:] if call.messages]
    assert turns[0].index("boxed{1}") < turns[0].index("boxed{2}")
    assert turns[1].index("boxed{2}") < turns[1].index("boxed{1}")
    assert done.verdict.account["comparisons"] == [["answer-0", "answer-2", "answer-2"]]
    assert (done.verdict.decided, done.verdict.agreement) == (True, 0.75)


def test_a_judge_that_always_prefers_the_first_place_decides_nothing() -> None:
    says = judged({"boxed": "Better: 1"})
    done = drive(*case("tournament", options={"judge": "j"}), says)
    assert (done.said, done.verdict.decided) == ("so \\boxed{1}", False)
    assert done.verdict.account["comparisons"] == [["answer-0", "answer-2", None]]


def test_answers_that_agree_need_no_judge() -> None:
    done = drive(*case("tournament", options={"judge": "j"}), boxed(4, 4, 4))
    assert (len(done.calls), done.verdict.decided) == (3, True)


def test_a_tournament_goes_on_with_pairs_of_close_rating() -> None:
    def says(call: Call) -> str | None:
        if call.role == "answer":
            return f"draft{call.name[-1]}: \\boxed{{{call.name[-1]}}}"
        first, second = (int(part) for part in call.name.split("-")[1:])
        return f"Better: {1 if first > second else 2}"

    done = drive(*case("tournament", "abcd", options={"judge": "j", "pairs": 4}), says)
    pairs = [call.name for call in done.calls[4:] if call.name.split("-")[1] < call.name[-1]]
    assert pairs == ["judge-0-1", "judge-2-3", "judge-0-2", "judge-1-3"]
    assert [call.round for call in done.calls[4:]] == [1] * 4 + [2] * 4
    assert done.said == "draft3: \\boxed{3}"


def test_temperatures_vote_within_each_and_then_across() -> None:
    # Temperature 0.2: 1 1 1; at 0.6: 2 2 1; at 1.0: 2 2 1. A majority of all nine says 1.
    values = {0.2: [1, 1, 1], 0.6: [2, 2, 1], 1.0: [2, 2, 1]}

    def says(call: Call) -> str:
        return f"\\boxed{{{values[call.params['temperature']][int(call.name[-1]) // 3]}}}"

    options = {"temperatures": [0.2, 0.6, 1.0]}
    at = case("temperatures", "abc", 3, options=options, early_stop=False)
    done = drive(*at, says)
    assert done.said == "\\boxed{2}"
    assert [call.params["temperature"] for call in done.calls] == [
        *(0.2, 0.6, 1.0, 0.6, 1.0, 0.2, 1.0, 0.2, 0.6),
    ]
    assert done.verdict.account["within"] == {"0.2": [3], "0.6": [2, 1], "1": [2, 1]}
    assert (done.verdict.decided, done.verdict.agreement) == (True, 2 / 3)
    plain = case("majority", "abc", 3, early_stop=False)
    everything = [says(call) for call in done.calls]
    assert drive(*plain, lambda call: everything[int(call.name[-1])]).said == "\\boxed{1}"


def test_temperatures_stop_early_on_an_easy_question() -> None:
    options = {"temperatures": [0.2, 0.6, 1.0]}
    done = drive(*case("temperatures", "abc", 3, options=options), lambda _: "\\boxed{1}")
    assert len(done.replies) < 9
    assert done.verdict.account["stopped"] == "settled"
