"""Answers of every shape: what can be read is read, and the rest is one failed call."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response

from eval.asking.reply import Broken, CallError, ChatReply, ReplyCollector, read_completion
from its.sse import Event
from tests.eval.harness import its_eval, its_eval_run, rows, run_args
from tests.scripted import Engine, chunk, completion, streams


def whole(message: Any = None, **more: Any) -> ChatReply:
    body = {"choices": [{"message": message, "finish_reason": "stop"}], **more}
    return read_completion(json.dumps(body).encode())


def streamed(*deltas: Any, **more: Any) -> ChatReply:
    found = ReplyCollector()
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "finish_reason": "stop"}], **more})
    found.take_all(Event(b"", json.dumps(each).encode()) for each in chunks)
    return found.reply()


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
MESSAGES = [
    ({"content": "7"}, ("7", "")),
    ({"content": None, "reasoning_content": "hm"}, ("", "hm")),
    ({"content": "7", "reasoning": "hm"}, ("7", "hm")),
    ({"content": "7", "thinking": "hm"}, ("7", "hm")),
    ({"content": "7", "reasoning_details": [{"type": "x", "text": "hm"}]}, ("7", "hm")),
    ({"content": "7", "reasoning": {"content": "hm"}}, ("7", "hm")),
    ({"content": "7", "reasoning": 5}, ("7", "")),
    ({"content": [THINKING, {"type": "text", "text": "7"}]}, ("7", "hm")),
    ({"content": [{"type": "text", "text": {"value": "7"}}, "!"]}, ("7!", "")),
    ({"content": [None, 5, {"type": "image_url"}, {"text": "7"}]}, ("7", "")),
    ({"content": []}, ("", "")),
    ({"content": None, "refusal": "No."}, ("No.", "")),
    ({}, ("", "")),
]  # fmt: skip


@pytest.mark.parametrize(("message", "found"), MESSAGES)
def test_messages_that_can_be_read(message: Any, found: tuple[str, str]) -> None:
    for reply in (whole(message), streamed(message)):
        assert (reply.text, reply.reasoning) == found


@pytest.mark.parametrize("content", [5, True, {"text": "7"}, 1.5])
def test_content_that_is_no_text_is_a_failed_call(content: object) -> None:
    with pytest.raises(CallError, match="content is a"):
        whole({"content": content})


USAGES = [
    ({"completion_tokens": 5, "prompt_tokens": 9}, (5, 9)),
    ({"completion_tokens": "5", "prompt_tokens": 9.0}, (5, 9)),
    (None, (None, None)),
    ([], (None, None)),
    ([{"completion_tokens": 5}], (None, None)),
    ("many", (None, None)),
    ({}, (None, None)),
    ({"completion_tokens": None}, (None, None)),
    ({"completion_tokens": -1, "prompt_tokens": True}, (None, None)),
    ({"completion_tokens": 1.5, "prompt_tokens": [9]}, (None, None)),
    ({"completion_tokens": 0, "prompt_tokens": 0}, (None, None)),
]


@pytest.mark.parametrize(("usage", "found"), USAGES)
def test_usage_is_known_or_unknown(usage: object, found: tuple[int | None, int | None]) -> None:
    for reply in (whole({"content": "7"}, usage=usage), streamed({"content": "7"}, usage=usage)):
        assert (reply.tokens, reply.prompt_tokens) == found
        assert (reply.thinking_tokens is None) == (reply.tokens is None)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, 4),
        ({"completion_tokens_details": [4], "reasoning_tokens": 3}, 3),
        ({"reasoning_tokens": 99}, 6),
        ({"completion_tokens_details": {"reasoning_tokens": "x"}}, 3),
    ],
)
def test_thinking_is_counted_where_the_engine_says_so(more: Any, found: int) -> None:
    usage = {"completion_tokens": 6, **more}
    assert whole({"content": "ab", "reasoning": "xy"}, usage=usage).thinking_tokens == found


TOOLS = [
    {"tool_calls": [{"function": {"name": "add", "arguments": '{"a": 1}'}}]},
    {"tool_calls": [{"index": 0, "function": {"name": "add", "arguments": {"a": 1}}}]},
    {"function_call": {"name": "add", "arguments": '{"a": 1}'}},
    {"content": None, "tool_calls": [{"function": {"name": "add", "arguments": '{"a": 1}'}}]},
]  # fmt: skip


@pytest.mark.parametrize("message", TOOLS)
def test_calls_of_tools_alone(message: Any) -> None:
    assert whole(message).tool_calls == ({"name": "add", "arguments": '{"a": 1}'},)


NO_CHOICE = [
    {}, {"choices": None}, {"choices": []}, {"choices": [None]}, {"choices": [{}]},
    {"choices": [{"message": None}]}, {"choices": {"0": 1}}, {"choices": 5},
    {"choices": [{"message": "7"}]}, {"choices": ["7"]}, {"choices": [{"message": ["7"]}]},
    {"choices": [{"message": {"tool_calls": [5]}}]},
    {"choices": [{"message": {"tool_calls": [{"index": "x"}]}}]},
]  # fmt: skip


@pytest.mark.parametrize("body", NO_CHOICE)
def test_no_choice_is_a_failed_call(body: Any) -> None:
    with pytest.raises(CallError, match="is no "):
        read_completion(json.dumps(body).encode())


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"7", b"null", b'"a"', b"[1]", b"\xff", b"[" * 9999]
)
def test_no_object_is_a_failed_call(raw: bytes) -> None:
    with pytest.raises((CallError, Broken), match="is no JSON"):
        read_completion(raw)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_the_server_gave_up_is_broken(reason: str) -> None:
    with pytest.raises(Broken, match=reason):
        streamed({"content": "7"}, choices=[{"finish_reason": reason}])


def test_the_first_of_several_choices_is_the_answer() -> None:
    two = [{"index": 0, "delta": {"content": "7"}}, {"index": 1, "delta": {"content": "8"}}]
    assert streamed(choices=two).text == "7"


def test_halves_of_a_surrogate_pair_meet_and_a_lone_one_is_replaced() -> None:
    assert streamed({"content": "a\ud83d"}, {"content": "\ude00b"}).text == "a\U0001f600b"
    assert whole({"content": "a\ud83db"}).text == "a\ufffdb"


def test_ballots_that_cannot_be_read_are_left_out() -> None:
    good = {"member": "a", "outcome": "voted", "usage": {"completion_tokens": 3}}
    told = {"ballots": [good, 5, {"member": "b"}, {**good, "usage": []}]}
    found = whole({"content": "7"}, input_time=told).input_time
    assert found["ballots"] == [good, {**good, "usage": {}}]
    assert whole({"content": "7"}, input_time=[1]).input_time == {}
    assert whole({"content": "7"}, input_time={"ballots": 5}).input_time == {"ballots": []}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=3),
    lambda each: st.lists(each, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "message", "delta", "content", "usage", "logprobs", "tool_calls",
             "function", "arguments", "error", "text", "type", "index", "finish_reason",
             "input_time", "ballots", "completion_tokens", "reasoning_tokens"]
        ), each, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(message=JSON, usage=JSON, choices=JSON, logprobs=JSON, told=JSON, known=st.booleans())
def test_nothing_that_a_server_says_raises_another_error(
    message: Any, usage: Any, choices: Any, logprobs: Any, told: Any, known: bool
) -> None:
    choice = [{"message": message, "logprobs": logprobs, "finish_reason": "stop"}]
    body = {"choices": choice if known else choices, "usage": usage, "input_time": told}
    try:
        reply = read_completion(json.dumps(body).encode())
    except (CallError, Broken):
        return
    assert reply.thinking_tokens is None or reply.tokens is not None
    json.dumps([reply.message, dict(reply.usage), dict(reply.input_time)]).encode()


def test_one_odd_answer_is_one_failed_call_and_is_not_paid_again(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    odd = iter([JSONResponse({"choices": [None]}), Response("<html>", media_type="text/html")])

    def answer(body: Any) -> Response:
        return next(odd, None) or JSONResponse(completion(r"\boxed{3}"))

    engine.scripts["m"] = answer
    ended = its_eval_run(
        *run_args(tmp_path, engine_url), "--concurrency", 1, "--retries", 1, "--accept-failed"
    )
    assert ended.returncode == 0, ended.stderr
    found = [row["error"] for row in rows(tmp_path / "out")]
    assert found == ["the answer is no chat completion: it has no choice", None, None]
    assert len(engine.received) == 4, (
        "a page instead of an answer is asked for again, a shape is not"
    )


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/event-stream"])
def test_what_an_answer_is_its_first_bytes_say(
    engine: Engine, engine_url: str, tmp_path: Path, kind: str
) -> None:
    """Some servers stream as application/json, and some ignore `stream` but not its type."""
    stream = chunk(delta={"content": r"\boxed{3}"}) + chunk(finish_reason="stop")
    bodies = iter([stream, json.dumps(completion(r"\boxed{3}")).encode(), b"\n" + stream])
    engine.scripts["m"] = lambda body: Response(next(bodies), media_type=kind)
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--retries", 0)
    assert ended.returncode == 0, ended.stderr
    assert {row["answer"] for row in rows(tmp_path / "out")} == {"3"}


def test_several_choices_are_refused_before_anything_is_asked(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--extra-body", '{"n": 2}')
    assert ended.returncode == 2
    assert "--extra-body: n cannot be set here, use --samples" in ended.stderr
    assert not engine.received
    engine.scripts["m"] = streams(
        [chunk(delta={"content": r"\boxed{3}"}), chunk(finish_reason="stop")]
    )
    assert its_eval_run(*run_args(tmp_path, engine_url), "--extra-body", '{"n": 1}').returncode == 0


AWFUL = [
    None, True, 10**400, "9" * 5000, "x", [None], {"a": 1}, "\ud800",
]  # fmt: skip


def panel_answer() -> dict[str, Any]:
    """Return what a proxy says of a panel's call."""
    ballot = {
        "member": "a", "strategy": "s", "outcome": "voted", "answer": "3", "content": r"\boxed{3}",
        "finish_reason": "stop", "seconds": 1.0, "persona": "p", "source": "bank", "domain": "d",
        "usage": {"completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 2}},
    }  # fmt: skip
    told = {"strategy": "s", "winner": "a", "persona": "p", "source": "bank", "ballots": [ballot]}
    return completion(r"\boxed{3}", logprobs={"content": []}) | {"input_time": told}


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value inside a JSON value, that of the whole left out."""
    if not isinstance(value, dict | list):
        return []
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return [found for key, each in pairs for found in ((*at, key), *places(each, (*at, key)))]


def test_no_value_of_any_type_at_any_place_ends_a_run_its_figures_or_its_table(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    cases = [(place, value) for place in places(panel_answer()) for value in AWFUL]

    def script(body: Any) -> Response:
        place, value = cases[int(body["messages"][-1]["content"].split()[1])]
        answer: Any = panel_answer()
        held = answer
        for key in place[:-1]:
            held = held[key]
        held[place[-1]] = value
        return Response(json.dumps(answer), media_type="application/json")

    engine.scripts["m"] = script
    file = tmp_path / "cases.jsonl"
    asked = [{"id": n, "problem": f"Case {n} .", "answer": 3} for n in range(len(cases))]
    file.write_text("\n".join(map(json.dumps, asked)))
    out = tmp_path / "out"
    where = ("--base-url", f"{engine_url}/v1", "--model", "m", "--out", out)
    ended = its_eval_run(file, *where, "--retries", 0, "--concurrency", 16)
    assert ended.returncode in (0, 1), ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(rows(out)) == len(cases)
    table = tmp_path / "table.parquet"
    for command in (("report", out), ("export", out, "--out", table), ("compare", out)):
        again = its_eval(*command)
        assert again.returncode == 0, again.stderr


def test_a_failed_call_of_a_panel_counts_for_its_members_and_ends_nothing(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    def script(body: Any) -> Response:
        if "2 + 1" in body["messages"][-1]["content"]:
            return JSONResponse({"error": {"message": "too long"}}, 400)
        return JSONResponse(panel_answer())

    engine.scripts["m"] = script
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--accept-failed", "--json")
    assert "Traceback" not in ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    models = found[0].get("models", found)
    assert {(each["problems"], each["failed"]) for each in models} == {(3, 1)}
    assert (tmp_path / "out" / "shares.json").exists()


REFUSALS = [
    {"error": "seed not allowed"},
    {"detail": [{"loc": ["body", "seed"], "msg": "not permitted"}]},
    {"errors": ["seed"]},
    {"error": {"message": "unknown: see `param` seed", "param": "seed"}},
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_any_shape_is_read(
    refusal: Any, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    """The seed that it names is left out; one that stays is told in the server's words."""
    engine.scripts["m"] = lambda body: (
        JSONResponse(refusal, 400) if "seed" in body else JSONResponse(completion(r"\boxed{3}"))
    )
    engine.scripts["never"] = lambda _: JSONResponse(refusal, 400)
    assert its_eval_run(*run_args(tmp_path, engine_url)).returncode == 0
    ended = its_eval_run(*run_args(tmp_path, engine_url, "never", "other"))
    assert "seed" in ended.stderr.split("calls failed")[1]
