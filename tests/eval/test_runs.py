"""Calls that are streamed and repeated, what a run writes down, comparisons, the matrix."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from eval.ask import Reply
from eval.hub import gpqa, gsm8k, olympiad
from eval.matrix import Cell, contrasts, result
from tests.conftest import Proxy, command
from tests.eval.test_eval import its_eval, problems, rows
from tests.scripted import Body, Engine, chunk, completion, fails, says, speaks, streams, usage


def args(folder: Path, url: str, model: str = "m", out: str = "out") -> list[object]:
    place = folder / out
    return [problems(folder, 3), "--base-url", f"{url}/v1", "--model", model, "--out", place]


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
    ended = its_eval(*args(tmp_path, engine_url), *more)
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


def test_a_busy_server_is_asked_again_and_a_paid_call_is_not(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    calls: list[str] = []

    def busy_once(body: Body) -> Response:
        calls.append(body["messages"][0]["content"])
        first = calls.count(calls[-1]) == 1
        return fails(503, retry_after="0")(body) if first else speaks(r"\boxed{3}")(body)

    engine.scripts["m"] = busy_once
    assert its_eval(*args(tmp_path, engine_url)).returncode == 0
    assert len(calls) == 6
    engine.scripts["m"] = fails(504, x_should_retry="false")
    before = len(engine.received)
    ended = its_eval(*args(tmp_path, engine_url, out="paid"))
    assert ended.returncode == 1
    assert len(engine.received) == before + 3, "what was paid for is not asked again"
    event = b'event: error\ndata: {"error": {"message": "no quorum", "should_retry": false}}\n\n'
    engine.scripts["m"] = streams([chunk(delta={"role": "assistant"}), event])
    assert its_eval(*args(tmp_path, engine_url, out="late")).returncode == 1
    assert len(engine.received) == before + 6, "nor is it when a stream has begun"


def test_a_stream_that_breaks_is_no_answer(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts["m"] = streams([chunk(delta={"content": "\\boxed{3}"}), b"data: [DONE]\n\n"])
    ended = its_eval(*args(tmp_path, engine_url), "--retries", 0)
    assert ended.returncode == 1
    assert {row["error"] for row in rows(tmp_path / "out")} == {
        "Broken: the stream ended without finish_reason"
    }
    error = b'event: error\ndata: {"error": {"message": "the engine died"}}\n\n'
    engine.scripts["m"] = streams([chunk(delta={"content": "4"}), error])
    ended = its_eval(*args(tmp_path, engine_url, out="died"), "--retries", 0)
    assert {row["error"] for row in rows(tmp_path / "died")} == {"Broken: the engine died"}


ODD_EVENTS = [
    (b'{"error": "overloaded", "error_type": "overloaded"}', "Broken: overloaded"),
    (b"null", "Broken: an event is no JSON object"),
    (b"[]", "Broken: an event is no JSON object"),
]


@pytest.mark.parametrize(("event", "told"), ODD_EVENTS)
def test_an_odd_event_is_one_failed_call(
    engine: Engine, engine_url: str, tmp_path: Path, event: bytes, told: str
) -> None:
    engine.scripts["m"] = streams([b"data: " + event + b"\n\n"])
    ended = its_eval(*args(tmp_path, engine_url), "--retries", 0)
    assert {row["error"] for row in rows(tmp_path / "out")} == {told}
    assert "Traceback" not in ended.stderr


def test_a_call_has_a_time_and_a_run_may_end_at_the_first_failure(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = speaks("x", hangs=True)
    how = ("--timeout", 1, "--stop-on-error", "--concurrency", 1)
    ended = its_eval(*args(tmp_path, engine_url), *how)
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
    ended = its_eval(*args(tmp_path, "http://127.0.0.1:9"), option, value)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_thinking_is_counted_by_characters_where_the_engine_does_not() -> None:
    reply = Reply("<think>abcdef</think>gh", usage={"completion_tokens": 23})
    assert reply.thinking_tokens == 13
    assert Reply("plain", usage={"completion_tokens": 5}).thinking_tokens == 0
    assert Reply("gh", "abcdef", usage={"completion_tokens": 8}).thinking_tokens == 6


def test_a_context_for_each_sample_or_for_all(
    engine: Engine, proxy: httpx.Client, tmp_path: Path
) -> None:
    engine.scripts["r"] = speaks(r"\boxed{1}")
    url = str(proxy.base_url).rstrip("/")
    its_eval(*args(tmp_path, url, "r", "one"), "--samples", 3)
    about = json.loads((tmp_path / "one" / "run.json").read_text())
    assert about["models"]["r"]["input_time"]["strategy"] == "random"
    its_eval(*args(tmp_path, url, "r", "each"), "--samples", 3, "--persona-per-sample")

    def personas(out: str) -> int:
        found: Any = [r["input_time"] for r in rows(tmp_path / out) if r["id"] == "p0"]
        return len({each["persona"] for each in found})

    assert personas("one") == 1
    assert personas("each") == 3


def test_two_runs_are_compared_pair_by_pair(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = says(r"\boxed{9}")
    its_eval(*args(tmp_path, engine_url, out="a"))
    engine.scripts["m"] = says(r"\boxed{3}")
    its_eval(*args(tmp_path, engine_url, out="b"))
    ended = command("eval", "compare", tmp_path / "a", tmp_path / "b", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["problems"], found["gained"], found["lost"], found["p"]) == (3, 1, 0, 1.0)
    assert found["difference"]["value"] == pytest.approx(1 / 3)
    assert command("eval", "compare", tmp_path / "a", tmp_path / "b").returncode == 0
    wrong = command("eval", "compare", tmp_path / "a", tmp_path / "none")
    assert wrong.returncode == 2


def test_a_panel_is_compared_with_its_members(
    engine: Engine, proxy: httpx.Client, tmp_path: Path
) -> None:
    engine.scripts.update({"s": says(r"\boxed{1}"), "u": says(r"\boxed{1}"), "r": says("none")})
    url = str(proxy.base_url).rstrip("/")
    ended = its_eval(*args(tmp_path, url, "vote3"))
    assert ended.returncode == 0, ended.stderr
    ended = command("eval", "compare", tmp_path / "out", "--json")
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [each["one"] for each in found] == ["s", "u", "r"]
    assert found[2]["gained"] == 1


MATRIX = """
[engines.e]
base_url = "{engine}/v1"
[members.trained-n]
engine = "e"
model = "n"
strategy = "none"
[members.trained-r]
engine = "e"
model = "r"
strategy = "random"
"""


def solves_with_a_context(body: Body) -> Response:
    """A model that was trained with contexts: it is right only where one stands."""
    text = body["messages"][0]["content"]
    number = re.search(r"What is (\d+) \+ 1", text)
    assert number
    right = not text.startswith("What is")
    return JSONResponse(completion(f"\\boxed{{{int(number[1]) + 1 if right else 99}}}"))


def solves_without(body: Body) -> Response:
    text = body["messages"][0]["content"]
    number = re.search(r"What is (\d+) \+ 1", text)
    assert number
    right = text.startswith("What is") and int(number[1]) % 2
    return JSONResponse(completion(f"\\boxed{{{int(number[1]) + 1 if right else 99}}}"))


def streamed(script: Any) -> Any:
    def answer(body: Body) -> Response:
        text = json.loads(script(body).body)["choices"][0]["message"]["content"]
        return speaks(text)(body)

    return answer


def test_the_matrix_runs_what_is_missing_and_tests_the_claim(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    proxy = start(MATRIX)
    engine.scripts.update({"n": streamed(solves_without), "r": streamed(solves_with_a_context)})
    problems(tmp_path, 8)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'task = "p"\ndata = "problems.jsonl"\nbase_url = "{proxy.base_url}/v1"\nout = "cells"\n'
        'test = ["none", "random"]\n[train]\nnone = "trained-n"\nrandom = "trained-r"\n'
    )
    dry = command("eval", "matrix", plan, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "[4/4] trained-r, trained random, asked random" in dry.stderr
    ended = command("eval", "matrix", plan)
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "cells" / "matrix.json").read_text())
    shares = {(c["train"], c["test"]): c["pass_at_1"]["value"] for c in found["cells"]}
    order = [("none", "none"), ("none", "random"), ("random", "none"), ("random", "random")]
    assert [shares[pair] for pair in order] == [0.5, 0, 0, 1]
    marked = {(c["train"], c["test"]) for c in found["cells"] if c["co_designed"]}
    assert marked == {("none", "none"), ("random", "random")}
    by_name = {c["name"]: c for c in found["contrasts"]}
    assert by_name["in training only"]["difference"]["value"] == 1
    assert by_name["in training only"]["p"] == pytest.approx(2 / 2**8)
    assert by_name["in neither"]["difference"]["value"] == 0.5
    recorded = (tmp_path / "cells" / "trained-r-random" / "run.json").read_text()
    away = plan.read_text().replace(str(proxy.base_url), "http://127.0.0.1:9")
    plan.write_text(away)
    again = command("eval", "matrix", plan)
    assert again.returncode == 0, "what is done is not run again, and needs no server"
    assert (tmp_path / "cells" / "trained-r-random" / "run.json").read_text() == recorded


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("task = 1", "Expected `str`, got `int`"),
        ("a = [", "cannot read"),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=["x"]\n[train]\n',
            "no strategy 'x'",
        ),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\nmore=1\n[train]\n',
            "unknown field `more`",
        ),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\nsamples=0\n[train]\n',
            "`$.samples`",
        ),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\nlimit=0\n[train]\n',
            "`$.limit`",
        ),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\nretries=-1\n[train]\n',
            "`$.retries`",
        ),
    ],
)
def test_a_bad_plan_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    ended = command("eval", "matrix", plan)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_seeds_are_one_row_and_the_base_is_no_side() -> None:
    found = {
        Cell("base", "random", "b"): {"a": 1.0, "b": 1.0},
        Cell("none", "none", "n"): {"a": 0.0, "b": 0.0},
        Cell("random", "random", "r0"): {"a": 1.0, "b": 0.0},
        Cell("random", "random", "r1"): {"a": 1.0, "b": 1.0},
    }
    told = result(found)
    values = {(c["train"], c["test"]): c["pass_at_1"]["value"] for c in told["cells"]}
    assert values == {("base", "random"): 1, ("none", "none"): 0, ("random", "random"): 0.75}
    assert [each["model"] for each in told["models"]] == ["b", "n", "r0", "r1"]
    assert [c["model"] for c in told["cells"]][-1] == "r0, r1"
    assert not told["cells"][0]["co_designed"]
    (contrast,) = told["contrasts"]
    assert (contrast["name"], contrast["both"], contrast["one"]) == ("in neither", 0.75, 0.0)


def test_contrasts_pair_problems_over_groups() -> None:
    found = {
        Cell("similar", "similar", "s"): {"a": 1.0, "b": 1.0},
        Cell("random", "random", "r"): {"a": 1.0, "b": 0.0},
        Cell("similar", "none", "s"): {"a": 0.0, "b": 0.0},
    }
    (made,) = contrasts(found)
    assert (made.name, made.both, made.one) == ("in training only", 0.75, 0.0)


def test_public_rows_are_read() -> None:
    found = gsm8k({"question": "Q?", "answer": "1+1=<<1+1=2>>2\n#### 1,002"}, 7)
    assert (found.id, found.answer) == ("gsm8k-test-7", "1,002")
    found = olympiad({"id": 3, "question": "Q?", "final_answer": ["1", "2"]}, 0)
    assert (found.id, found.answer) == ("3", "1, 2")
    row = {
        "Question": "Q?",
        "Correct Answer": "yes",
        **{f"Incorrect Answer {i}": f"no{i}" for i in (1, 2, 3)},
    }
    found = gpqa(row, 0)
    assert f"{found.answer}) yes" in found.problem
    assert gpqa(row, 0) == found, "the same order for everybody"
    with pytest.raises(ValueError, match="'answer' is missing"):
        gsm8k({"question": "Q?"}, 0)


def test_a_task_is_written_for_decontamination(tmp_path: Path) -> None:
    out = tmp_path / "arith.jsonl"
    ended = command("eval", "task", "arith", "--out", out)
    assert ended.returncode == 0, ended.stderr
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(written) == 200
    assert set(written[0]) == {"id", "problem", "answer"}
    assert "SHA-256" in ended.stderr
    assert command("eval", "task", "nothing", "--out", out).returncode == 2
