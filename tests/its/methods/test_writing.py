"""Methods whose answer is written anew: what each call is sent, and what stands in if one fails."""

from typing import Any

from msgspec.structs import replace

from its.methods import prompts
from its.methods.seam import Call, Case, Reply
from its.methods.steps import Steps
from tests.its.methods.driving import QUESTION, Driven, by_name, case, drive, reply_to

BRIDGE = {"role": "assistant", "content": prompts.BRIDGE}
DRAFTS = {"answer-0": "\\boxed{1}", "answer-1": "\\boxed{1}", "answer-2": "\\boxed{2}"}


def last_turn(call: Call) -> str:
    assert call.messages is not None
    assert call.messages[:2] == (QUESTION, BRIDGE)
    assert call.messages[2]["role"] == "user"
    content: str = call.messages[2]["content"]
    return content


def test_synthesize_shows_the_call_that_writes_the_answer() -> None:
    says = by_name({**DRAFTS, "write": "It is \\boxed{2}."})
    done = drive(*case("synthesize", options={"writer": "w"}), says)
    assert done.asked == [
        ("a", "answer-0", "answer", 0),
        ("b", "answer-1", "answer", 0),
        ("c", "answer-2", "answer", 0),
        ("w", "write", "write", 1),
    ]
    assert [call.shown for call in done.calls] == [False, False, False, True]
    assert dict(done.calls[3].params) == {}  # in the client's own form
    turn = last_turn(done.calls[3])
    assert all(draft in turn for draft in DRAFTS.values())
    assert (done.said, done.verdict.decided) == ("It is \\boxed{2}.", None)
    assert done.verdict.account["left_out"] == {"drafts": 0, "tokens": 0}


def test_the_drafts_vote_stands_in_if_nothing_was_written() -> None:
    done = drive(*case("synthesize", options={"writer": "w"}), by_name(DRAFTS))
    assert (done.said, done.verdict.decided) == ("\\boxed{1}", False)


def test_drafts_that_call_a_tool_are_shown_to_the_writer() -> None:
    tool = {"id": "1", "function": {"name": "find", "arguments": "{}"}}

    def says(call: Call) -> str | Reply:
        if call.role == "write":
            return "done"
        return Reply(call, message={"role": "assistant", "tool_calls": [tool]})

    done = drive(*case("synthesize"), says)
    assert '"name": "find"' in last_turn(done.calls[3])


def test_synthesize_writes_only_above_its_threshold() -> None:
    options = {"threshold": 0.9, "below": "abstain"}
    done = drive(*case("synthesize", options=options), by_name(DRAFTS))
    assert (len(done.calls), done.verdict.withheld) == (3, True)


def test_refine_distils_each_round_and_asks_again_with_the_notes() -> None:
    said = {**DRAFTS, **{f"answer-{n}": "\\boxed{2}" for n in (3, 4, 5)}}
    said |= {"notes-0": "Mind the sign.", "notes-1": "It is 2.", "answer-last": "So \\boxed{2}"}
    done = drive(*case("refine", options={"writer": "w"}), by_name(said))
    assert [(call.member, call.name, call.role, call.round) for call in done.calls] == [
        *((m, f"answer-{n}", "answer", 0) for n, m in enumerate("abc")),
        ("w", "notes-0", "write", 1),
        *((m, f"answer-{n}", "answer", 2) for n, m in enumerate("abc", 3)),
        ("w", "notes-1", "write", 3),
        ("a", "answer-last", "answer", 4),
    ]
    assert [call.name for call in done.calls if call.shown] == ["answer-last"]
    assert all(draft in last_turn(done.calls[3]) for draft in DRAFTS.values())
    assert done.calls[3].params["tools"] is None
    assert "Mind the sign." in last_turn(done.calls[4])
    assert "It is 2." in last_turn(done.calls[8])
    assert (done.said, done.verdict.decided) == ("So \\boxed{2}", None)
    assert drive(*case("majority"), by_name(said)).said == "\\boxed{1}"


def test_without_notes_the_drafts_lead_the_next_round() -> None:
    said = {**DRAFTS, "answer-last": "So \\boxed{2}"}
    done = drive(*case("refine", options={"rounds": 1}), by_name(said))
    assert "boxed{2}" in last_turn(done.calls[-1])
    assert done.said == "So \\boxed{2}"


def test_the_last_drafts_vote_stands_in_for_the_last_answer() -> None:
    said = {**DRAFTS, "notes-0": "notes"}
    done = drive(*case("refine", options={"rounds": 1}), by_name(said))
    assert (done.said, done.verdict.decided) == ("\\boxed{1}", False)


def thinks(call: Call) -> Reply:
    """Think "first" and stop, then "second"; answer 1 unless it was made to think again."""
    prefix = call.prefix or ""
    if "stop" in call.params:
        thought = "second" if "Wait" in prefix else "first"
        return replace(reply_to(call, thought), completion_tokens=5)
    return reply_to(call, f"\\boxed{{{2 if 'second' in prefix else 1}}}")


def test_thinking_goes_on_after_wait_and_ends_at_its_mark() -> None:
    options = {"tokens": 100, "waits": 1}
    done = drive(*case("thinking_budget", "a", options=options), thinks)
    assert done.asked == [
        ("a", "answer-0-think-0", "answer", 0),
        ("a", "answer-0-think-1", "answer", 1),
        ("a", "answer-0", "answer", 2),
    ]
    assert [call.prefix for call in done.calls] == [
        "<think>\n",
        "<think>\nfirst\nWait",
        "<think>\nfirst\nWaitsecond\n</think>\n\n",
    ]
    assert [call.params.get("max_tokens") for call in done.calls] == [100, 95, None]
    assert done.calls[0].params["stop"] == ["</think>"]
    assert [call.shown for call in done.calls] == [False, False, True]
    assert (done.said, done.verdict.decided) == ("\\boxed{2}", None)
    assert done.verdict.account["thinking"] == {"answer-0": 10}
    assert drive(*case("majority", "a"), thinks).said == "\\boxed{1}"


def test_thinking_ends_when_its_tokens_are_spent() -> None:
    def says(call: Call) -> Reply:
        if "stop" in call.params:
            thought = reply_to(call, "on and on")
            return replace(thought, finish_reason="length", completion_tokens=100)
        return reply_to(call, "\\boxed{3}")

    options = {"tokens": 100, "waits": 5}
    done = drive(*case("thinking_budget", "a", options=options), says)
    assert [call.name for call in done.calls] == ["answer-0-think-0", "answer-0"]
    assert done.calls[1].prefix == "<think>\non and on\n</think>\n\n"


def test_several_minds_vote() -> None:
    done = drive(*case("thinking_budget", "abc", options={"waits": 1}), thinks)
    assert (done.verdict.decided, done.verdict.agreement) == (True, 1.0)
    assert not any(call.shown for call in done.calls)


def stepping(call: Call) -> Reply:
    """Grow "good" or "bad" answers in two steps; the judge likes good ones."""
    if call.role == "judge":
        return reply_to(call, f"Score: {9 if 'good' in last_turn(call) else 1}")
    prefix = call.prefix or ""
    if not prefix:
        start = "good" if call.name.endswith("-2") else "bad"
        return replace(reply_to(call, start), stop="\n\n")
    return replace(reply_to(call, f"\\boxed{{{2 if 'good' in prefix else 1}}}"), stop="")


def steps(done: Driven) -> list[tuple[str, str | None]]:
    return [(call.name, call.prefix) for call in done.calls if call.role == "answer"]


def test_steps_continue_what_the_judge_likes() -> None:
    options = {"judge": "j", "temperature": 0.05}
    done = drive(*case("steps", options=options), stepping)
    assert steps(done) == [
        *((f"answer-0-{n}", None) for n in range(3)),
        *((f"answer-1-{n}", "good\n\n") for n in range(3)),
    ]
    assert [call.member for call in done.calls if call.role == "answer"] == list("abcccc")
    judges = [call for call in done.calls if call.role == "judge"]
    assert [call.round for call in judges] == [1] * 3 + [3] * 3
    assert last_turn(judges[0]).startswith(prompts.STEP)
    assert last_turn(judges[3]).startswith(prompts.SCORE)  # it is finished
    assert done.calls[0].params["stop"] == ["\n\n"]
    assert done.said == "good\n\n\\boxed{2}"
    assert done.verdict.account["finished"] == 3


def test_without_the_judge_the_majority_of_the_steps_would_win() -> None:
    def says(call: Call) -> Reply:
        return reply_to(call, "?") if call.role == "judge" else stepping(call)

    assert drive(*case("steps", options={"judge": "j"}), says).said == "bad\n\n\\boxed{1}"


def test_beams_keep_the_best_by_a_reward_model() -> None:
    def says(call: Call) -> Reply:
        if call.role == "score":
            assert call.messages is not None
            good = "good" in str(call.messages[-1]["content"])
            return Reply(call, score=0.9 if good else 0.1)
        return stepping(call)

    options = {"scorer": "r", "select": "beams", "beams": 1}
    done = drive(*case("steps", options=options), says)
    assert [prefix for name, prefix in steps(done)[3:]] == ["good\n\n"] * 3


def test_an_engine_that_does_not_say_what_ended_a_step_ends_at_an_answer() -> None:
    def says(call: Call) -> Reply:
        return replace(stepping(call), stop=None)

    done = drive(*case("steps", options={"judge": "j"}), says)
    assert done.verdict.account == {**done.verdict.account, "steps": 2, "finished": 3}


def stepwise(*stops: str | None) -> Any:
    """Return what writes one step after another, each ended by one of `stops`."""

    def says(call: Call) -> Reply:
        if call.role == "judge":
            return reply_to(call, "Score: 5")
        number = int(call.name.split("-")[1])
        said = replace(reply_to(call, f"step {number}"), stop=stops[number], completion_tokens=10)
        return said

    return says


def test_the_clients_stop_ends_an_answer_of_steps() -> None:
    at = case("steps", "a", options={"judge": "j"}, stop=("END",))
    done = drive(*at, stepwise("\n\n", "END", ""))
    assert [name for name, _ in steps(done)] == ["answer-0-0", "answer-1-0"]
    assert done.calls[0].params["stop"] == ["END", "\n\n"]
    assert done.verdict.account["finished"] == 1
    unsaid = drive(*at, stepwise(None, None, None))
    assert len(steps(unsaid)) == 1, "an engine that does not say what stopped it: not past the stop"


def test_the_clients_max_tokens_are_for_all_steps() -> None:
    at = case("steps", "a", options={"judge": "j", "tokens": 15}, max_tokens=25)
    done = drive(*at, stepwise("\n\n", "\n\n", "\n\n", ""))
    asked = [call.params["max_tokens"] for call in done.calls if call.role == "answer"]
    assert asked == [15, 15, 5]
    assert done.verdict.account["finished"] == 1


def test_steps_end_after_their_rounds_undecided() -> None:
    def says(call: Call) -> Reply:
        return replace(reply_to(call, "and"), stop="\n\n")

    done = drive(*case("steps", options={"judge": "j", "rounds": 2}), says)
    assert (done.verdict.account["steps"], done.verdict.decided) == (2, False)
    assert Steps().most_calls(case("steps", options={"judge": "j", "rounds": 2})[1]) == 12


def layered(*layers: dict[str, Any], **options: Any) -> tuple[Any, Case]:
    return case("layers", options={"layers": list(layers), **options})


def test_each_layer_is_fed_by_the_one_before() -> None:
    layers = (
        {"method": "best_of", "judge": "j", "keep": 2},
        {"method": "majority", "members": ["d", "e"]},
        {"method": "synthesize", "writer": "w"},
    )

    def says(call: Call) -> str:
        if call.role == "judge":
            return f"Score: {('boxed{2}' in last_turn(call) and 9) or 4}"
        if call.role == "write":
            return "written"
        return f"draft of {call.member}: \\boxed{{{2 if call.member in 'cde' else 1}}}"

    done = drive(*layered(*layers), says)
    assert done.asked[:3] == [(m, f"layer-0/answer-{n}", "answer", 0) for n, m in enumerate("abc")]
    fed = [call for call in done.calls if call.name.startswith("layer-1/")]
    assert [call.member for call in fed] == ["d", "e"]
    assert "draft of c" in last_turn(fed[0])
    assert "draft of b" not in last_turn(fed[0])  # the best two are of c and a
    written = done.calls[-1]
    assert (written.name, written.shown) == ("layer-2/write", True)
    assert "draft of d" in last_turn(written)
    assert "draft of c" not in last_turn(written)
    assert (done.said, done.verdict.decided) == ("written", None)
    told = [layer["method"] for layer in done.verdict.account["layers"]]
    assert told == ["best_of", "majority", "synthesize"]


def test_only_the_last_layer_shows_its_call() -> None:
    done = drive(*layered({"method": "synthesize"}, {"method": "majority"}), lambda _: "\\boxed{1}")
    assert not any(call.shown for call in done.calls)


def test_a_layer_that_brings_nothing_leaves_the_one_before() -> None:
    layers = ({"method": "majority"}, {"method": "majority", "members": ["d"]})
    done = drive(*layered(*layers), by_name({f"layer-0/{k}": v for k, v in DRAFTS.items()}))
    assert (done.said, done.verdict.decided) == ("\\boxed{1}", False)


def test_a_layer_that_abstains_ends_the_panel() -> None:
    first = {"method": "majority", "threshold": 0.9, "below": "abstain"}
    says = by_name({f"layer-0/{k}": v for k, v in DRAFTS.items()})
    done = drive(*layered(first, {"method": "synthesize"}), says)
    assert (done.verdict.withheld, len(done.calls)) == (True, 3)
