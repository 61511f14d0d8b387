"""Calls that are streamed and repeated, what a run writes down, comparisons, the matrix."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from eval.asking.reply import ChatReply
from tests.eval.harness import its_eval, its_eval_run, rows, run_args
from tests.scripted import (
    Body,
    Engine,
    chunk,
    fails,
    says,
    speaks,
    streams,
    streams_then_breaks,
    usage,
)


def test_answers_are_streamed_and_all_of_them_is_kept(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    spent = usage(20, 8)
    spent["completion_tokens_details"] = {"reasoning_tokens": 6}
    engine.scripts["m"] = streams(
        [
            chunk(delta={"role": "assistant", "reasoning_content": "Two and "}),
            chunk(delta={"reasoning_content": "one."}),
            chunk(delta={"content": "It is "}),
            chunk(delta={"content": "\\boxed{3}"}),
            chunk(finish_reason="stop"),
            chunk(usage=spent),
            b"data: [DONE]\n\n",
        ]
    )
    more = (
        "--top-p",
        0.9,
        "--system",
        "Be brief.",
        "--extra-body",
        '{"top_k": 20}',
        "--prices",
        "1,2",
    )
    ended = its_eval_run(*run_args(tmp_path, engine_url), *more)
    assert ended.returncode == 0, ended.stderr
    body = engine.bodies("m")[0]
    assert (body["stream"], body["top_p"], body["top_k"]) == (True, 0.9, 20)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    (row,) = [row for row in rows(tmp_path / "out") if row["id"] == "p2"]
    assert (row["text"], row["reasoning"]) == ("It is \\boxed{3}", "Two and one.")
    assert (row["tokens"], row["thinking_tokens"], row["prompt_tokens"]) == (8, 6, 20)
    assert row["correct"] is True
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    (model,) = found["models"]
    assert model["thinking_tokens"]["mean"] == 6
    assert model["response_tokens"]["mean"] == 2
    assert model["cost"] == pytest.approx((60 * 1 + 24 * 2) / 1e6)
    assert found["partial"] is False
    assert "30 problems" in found["note"]
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["versions"]["openai"]
    assert about["command"].startswith("/") or "eval" in about["command"]


def test_log_probabilities_and_how_it_was_asked_are_kept(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    """Of every token that came: some events have several, some none, and some tokens no number."""
    tokens = [
        {"token": "3", "logprob": -0.5, "top_logprobs": [{"logprob": -0.5}, {"logprob": -3.5}]},
        {"token": "!", "logprob": -1.5, "top_logprobs": [{"logprob": -1.5}, {"logprob": None}]},
        {"token": "?", "logprob": None, "top_logprobs": []},
    ]
    engine.scripts["m"] = streams(
        [
            chunk(delta={"content": "\\boxed{3"}, logprobs={"content": tokens[:1]}),
            chunk(delta={"content": "}"}, logprobs={"content": tokens[1:]}),
            chunk(finish_reason="stop", logprobs=None),
            b"data: [DONE]\n\n",
        ]
    )
    args = run_args(tmp_path, engine_url)
    assert its_eval_run(*args, "--logprobs", 2, "--temperature", 0.7).returncode == 0
    body = engine.bodies("m")[0]
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    found = rows(tmp_path / "out")
    assert [row["logprobs"] for row in found] == [{"mean": -1.0, "tail": 1.75, "worst": 1.75}] * 3
    assert {row["temperature"] for row in found} == {0.7}
    assert {row["seed"] for row in found} == {body["seed"] for body in engine.bodies("m")}
    ended = its_eval("replay", tmp_path / "out", "--method", "weighted", "--fewest", 1)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("odd", [None, {"content": None}, {"tokens": ["a"]}, {"content": [{}]}])
def test_no_log_probabilities_are_no_failure(
    odd: object, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = says(r"\boxed{3}", logprobs=odd)
    extra = ("--extra-body", '{"temperature": 0.3, "seed": 5}')
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--logprobs", 0, *extra)
    assert ended.returncode == 0, ended.stderr
    assert "No log-probabilities came: the server ignores `logprobs` for m." in ended.stderr
    assert "top_logprobs" not in engine.bodies("m")[0]
    found = rows(tmp_path / "out")
    assert [row["logprobs"] for row in found] == [None] * 3
    assert {(row["temperature"], row["seed"]) for row in found} == {(0.3, 5)}


def test_a_busy_server_is_asked_again_and_a_paid_call_is_not(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    calls: list[str] = []

    def busy_once(body: Body) -> Response:
        calls.append(body["messages"][0]["content"])
        first = calls.count(calls[-1]) == 1
        return fails(503, retry_after="0")(body) if first else speaks(r"\boxed{3}")(body)

    engine.scripts["m"] = busy_once
    assert its_eval_run(*run_args(tmp_path, engine_url)).returncode == 0
    assert len(calls) == 6
    engine.scripts["m"] = fails(504, x_should_retry="false")
    before = len(engine.received)
    ended = its_eval_run(*run_args(tmp_path, engine_url, out="paid"))
    assert ended.returncode == 1
    assert len(engine.received) == before + 3, "what was paid for is not asked again"
    event = b'event: error\ndata: {"error": {"message": "no quorum", "should_retry": false}}\n\n'
    engine.scripts["m"] = streams([chunk(delta={"role": "assistant"}), event])
    assert its_eval_run(*run_args(tmp_path, engine_url, out="late")).returncode == 1
    assert len(engine.received) == before + 6, "nor is it when a stream has begun"


def test_a_stream_that_breaks_is_no_answer(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts["m"] = streams([chunk(delta={"content": "\\boxed{3}"}), b"data: [DONE]\n\n"])
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--retries", 0)
    assert ended.returncode == 1
    assert {row["error"] for row in rows(tmp_path / "out")} == {
        "the stream ended without finish_reason"
    }
    error = b'event: error\ndata: {"error": {"message": "the engine died"}}\n\n'
    engine.scripts["m"] = streams([chunk(delta={"content": "4"}), error])
    ended = its_eval_run(*run_args(tmp_path, engine_url, out="died"), "--retries", 0)
    assert {row["error"] for row in rows(tmp_path / "died")} == {"the engine died"}


ODD_EVENTS = [
    (b'{"error": "overloaded", "error_type": "overloaded"}', "overloaded"),
    (b'{"object": "error", "message": "too long", "code": 400}', "too long"),
    (b'{"choices": [', "an event is no JSON: Expecting value: line 1 column 14 (char 13)"),
    (b"null", "an event is no JSON object"),
    (b"[]", "an event is no JSON object"),
    (
        b'{"choices": [5]}',
        "an event is no part of a chat completion: 'int' object has no attribute 'get'",
    ),
    (
        b'{"choices": [{"delta": {"content": 42}}]}',
        "an event is no part of a chat completion: content is a int, not a text or a list of parts",
    ),
]


@pytest.mark.parametrize(("event", "told"), ODD_EVENTS)
def test_an_odd_event_is_one_failed_call(
    engine: Engine, engine_url: str, tmp_path: Path, event: bytes, told: str
) -> None:
    engine.scripts["m"] = streams([b"data: " + event + b"\n\n"])
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--retries", 0)
    assert {row["error"] for row in rows(tmp_path / "out")} == {told}
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_of_a_stream_end_as_the_standard_says(
    engine: Engine, engine_url: str, tmp_path: Path, end: bytes
) -> None:
    """U+2028 and U+0085 end no line: they may stand inside a JSON text."""
    text = "One\u2028two\x85three \\boxed{3}"
    delta = json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False).encode()
    whole = b"data: " + delta + b"\n\n" + chunk(finish_reason="stop") + b"data: [DONE]\n\n"
    whole = b": hello\n\n" + whole
    raw = whole.replace(b"\n", end)
    engine.scripts["m"] = streams([raw[i : i + 7] for i in range(0, len(raw), 7)])
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--retries", 0)
    assert ended.returncode == 0, ended.stderr
    assert {row["text"] for row in rows(tmp_path / "out")} == {text}


def test_a_connection_that_breaks_is_one_failed_call(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    """The SDK passes on its transport's own error, which must not end the run."""
    engine.scripts["m"] = streams_then_breaks([chunk(delta={"content": "4"})])
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--retries", 1)
    assert ended.returncode == 1
    assert "3 calls failed" in ended.stderr
    (told,) = {str(row["error"]) for row in rows(tmp_path / "out")}
    assert told.startswith("the answer broke off: RemoteProtocolError: ")
    assert len(engine.received) == 6, "each was asked twice"


def test_a_server_says_when_to_ask_again(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    """Its wait is longer than the first of our own, which is half a second at most."""
    arrived: list[float] = []

    def busy_once(body: Body) -> Response:
        arrived.append(time.monotonic())
        return (fails(429, retry_after="1") if len(arrived) == 1 else says(r"\boxed{3}"))(body)

    engine.scripts["m"] = busy_once
    assert its_eval_run(*run_args(tmp_path, engine_url), "--limit", 1).returncode == 0
    first, second = arrived
    assert second - first >= 1


def test_a_call_has_a_time_and_a_run_may_end_at_the_first_failure(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = speaks("x", hangs=True)
    how = ("--timeout", 1, "--stop-on-error", "--concurrency", 1)
    ended = its_eval_run(*run_args(tmp_path, engine_url), *how)
    assert ended.returncode == 1
    assert "stopped at the first failed call: p0: no answer in 1 s" in ended.stderr
    assert len(rows(tmp_path / "out")) == 1
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["partial"] is True


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--extra-body", "{", "--extra-body: not JSON"),
        ("--extra-body", "[]", "--extra-body: must be a JSON object"),
        ("--prices", "1", "--prices: '1' is not two numbers"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, option: str, value: str, told: str) -> None:
    ended = its_eval_run(*run_args(tmp_path, "http://127.0.0.1:9"), option, value)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_thinking_is_counted_by_characters_where_the_engine_does_not() -> None:
    reply = ChatReply("<think>abcdef</think>gh", usage={"completion_tokens": 23})
    assert reply.thinking_tokens == 13
    assert ChatReply("plain", usage={"completion_tokens": 5}).thinking_tokens == 0
    assert ChatReply("gh", "abcdef", usage={"completion_tokens": 8}).thinking_tokens == 6


def test_a_context_for_each_sample_or_for_all(
    engine: Engine, proxy: httpx.Client, tmp_path: Path
) -> None:
    engine.scripts["r"] = speaks(r"\boxed{1}")
    url = str(proxy.base_url).rstrip("/")
    its_eval_run(*run_args(tmp_path, url, "r", "one"), "--samples", 3)
    about = json.loads((tmp_path / "one" / "run.json").read_text())
    assert about["models"]["r"]["input_time"]["strategy"] == "random"
    its_eval_run(*run_args(tmp_path, url, "r", "each"), "--samples", 3, "--persona-per-sample")

    def personas(out: str) -> int:
        found: Any = [r["input_time"] for r in rows(tmp_path / out) if r["id"] == "p0"]
        return len({each["persona"] for each in found})

    assert personas("one") == 1
    assert personas("each") == 3
