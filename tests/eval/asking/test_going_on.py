"""Runs that go on: with another server, with more samples or problems, within limits, to an end."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from its.sampling import recommended
from tests.conftest import MEMBERS, Proxy
from tests.eval.harness import its_eval, its_eval_run, problems, rows, run_args
from tests.scripted import Body, Engine, completion, fails, says, serving


def card(**more: Any) -> Body:
    return {"id": "m", "object": "model", "created": 1, "owned_by": "e", **more}


def half_asked(engine: Engine, url: str, folder: Path) -> None:
    """Begin a run of three problems that gets one answer."""
    answers = [says(r"\boxed{3}"), fails(400), fails(400)]
    engine.scripts["m"] = lambda body: answers.pop(0)(body)
    ended = its_eval_run(*run_args(folder, url), "--concurrency", 1)
    assert ended.returncode == 1
    engine.scripts["m"] = says(r"\boxed{8}")


def about(folder: Path) -> Any:
    return json.loads((folder / "out" / "run.json").read_text())


def test_a_run_goes_on_at_another_address_only_if_told_to(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    half_asked(engine, engine_url, tmp_path)
    other = Engine(scripts={"m": says(r"\boxed{8}")})
    with serving(other.app()) as url:
        ended = its_eval_run(*run_args(tmp_path, url))
        assert ended.returncode == 2
        told = f"the run was asked of {engine_url}/v1, and this is {url}/v1."
        assert told in ended.stderr
        assert "--other-server" in ended.stderr
        assert not other.received
        ended = its_eval_run(*run_args(tmp_path, url), "--other-server")
        assert ended.returncode == 0, ended.stderr
    parts = about(tmp_path)["parts"]
    assert [part["base_url"] for part in parts] == [f"{engine_url}/v1", f"{url}/v1"]
    last = {row["id"]: (row["answer"], row["part"]) for row in rows(tmp_path / "out")}
    assert last == {"p0": ("3", 0), "p1": ("8", 1), "p2": ("8", 1)}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"root": "/a"}, {"root": "/b"}, "its card of the model.root was '/a' and is '/b'"),
        ({"max_model_len": 1}, {"max_model_len": 2}, "max_model_len was 1 and is 2"),
        (
            {"input_time": {"kind": "member", "manifest": {"train": {"seed": 0}}}},
            {"input_time": {"kind": "member", "manifest": {"train": {"seed": 1}}}},
            "input_time.manifest.train.seed was 0 and is 1",
        ),
    ],
)
def test_a_run_does_not_go_on_with_another_card(
    before: Body, after: Body, told: str, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.cards = [card(**before)]
    half_asked(engine, engine_url, tmp_path)
    engine.cards = [card(**after)]
    ended = its_eval_run(*run_args(tmp_path, engine_url))
    assert ended.returncode == 2
    assert told in ended.stderr
    engine.cards = [card(**before, created=2, permission=[{"id": "new with each look"}])]
    again = its_eval_run(*run_args(tmp_path, engine_url), "--concurrency", 1)
    assert again.returncode == 0, again.stderr
    assert len(about(tmp_path)["parts"]) == 1, "the same command, of the same server"


def test_a_run_does_not_go_on_with_other_weights_under_one_name(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    """SGLang's card has the served name alone; where the weights are its model info says."""
    engine.cards = [card(owned_by="sglang")]
    engine.gets["/get_model_info"] = {"model_path": "/a", "random_seed": 1}
    half_asked(engine, engine_url, tmp_path)
    engine.gets["/get_model_info"] = {"model_path": "/b", "random_seed": 2}
    ended = its_eval_run(*run_args(tmp_path, engine_url))
    assert ended.returncode == 2
    assert "model_path was '/a' and is '/b'" in ended.stderr
    engine.gets["/get_model_info"] = {"model_path": "/a", "random_seed": 2}
    assert its_eval_run(*run_args(tmp_path, engine_url)).returncode == 0
    assert [part["server"]["random_seed"] for part in about(tmp_path)["parts"]] == [1, 2]


def test_a_member_behind_the_proxy_that_changed_is_noticed(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    answers = [says(r"\boxed{3}"), fails(400), fails(400)]
    engine.scripts["r"] = lambda body: answers.pop(0)(body)
    url = str(start().base_url).rstrip("/")
    assert its_eval_run(*run_args(tmp_path, url, "r"), "--concurrency", 1).returncode == 1
    changed = MEMBERS.replace('strategy = "random"', 'strategy = "similar"')
    url = str(start(changed).base_url).rstrip("/")
    engine.scripts["r"] = says(r"\boxed{8}")
    ended = its_eval_run(*run_args(tmp_path, url, "r"))
    assert ended.returncode == 2
    assert "the run was asked of" in ended.stderr


def test_more_samples_and_more_problems_are_asked_and_nothing_again(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = says(r"\boxed{3}")
    args = [problems(tmp_path), "--base-url", f"{engine_url}/v1", "--model", "m"]
    args += ["--out", tmp_path / "out", "--temperature", 1]

    def asked(*more: object) -> int:
        before = len(engine.received)
        ended = its_eval_run(*args, *more)
        assert ended.returncode == 0, ended.stderr
        return len(engine.received) - before

    assert asked("--samples", 2, "--limit", 3) == 6
    assert asked("--samples", 4, "--limit", 3) == 6
    assert asked("--samples", 4, "--limit", 5) == 8
    assert asked("--samples", 4) == 4
    assert asked() == 0, "a command that says no number goes on with the run's"
    keys = [(row["id"], row["sample"]) for row in rows(tmp_path / "out")]
    assert len(keys) == len(set(keys)) == 24
    seeds = {(row["id"], row["sample"]): row["seed"] for row in rows(tmp_path / "out")}
    other = tmp_path / "all at once"
    assert its_eval_run(*args, "--samples", 4, "--out", other).returncode == 0
    assert {(row["id"], row["sample"]): row["seed"] for row in rows(other)} == seeds
    settings = about(tmp_path)["settings"]
    assert (settings["samples"], settings["problems"]) == (4, 6)
    for fewer in (("--samples", 2), ("--limit", 2)):
        ended = its_eval_run(*args, *fewer)
        assert ended.returncode == 2
        assert "was " in ended.stderr


def test_other_problems_are_no_extension(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts["m"] = says(r"\boxed{3}")
    assert its_eval_run(*run_args(tmp_path, engine_url), "--limit", 2).returncode == 0
    file = tmp_path / "problems.jsonl"
    args = run_args(tmp_path, engine_url)
    file.write_text(file.read_text().replace("What is 0", "What was 0"))
    ended = its_eval_run(*args)
    assert ended.returncode == 2
    assert "task_sha256 was" in ended.stderr


def answers_of(tokens: int) -> Any:
    body = completion(r"\boxed{3}")
    body["usage"] = {"prompt_tokens": 10, "completion_tokens": tokens}
    return lambda _: JSONResponse(body)


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (("--max-tokens-total", 75), "--max-tokens-total 75 is reached: 80 tokens were used"),
        (("--max-cost", 0.0001, "--prices", "1,2"), "--max-cost 0.0001 is reached: 0.00014 was"),
    ],
)
def test_a_limit_ends_a_run_in_order_and_a_larger_one_goes_on(
    limit: tuple[object, ...], told: str, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = answers_of(30)
    args = [*run_args(tmp_path, engine_url), "--concurrency", 1]
    for asked in (2, 2):  # what was spent before counts as well
        ended = its_eval_run(*args, *limit)
        assert ended.returncode == 1
        assert told in ended.stderr
        assert "What is done is kept in" in ended.stderr
        assert "/2" in ended.stdout, "the figures of what is done"
        assert len(engine.received) == asked
    more = [value if not isinstance(value, int | float) else value * 100 for value in limit]
    assert its_eval_run(*args, *more).returncode == 0
    assert len(engine.received) == 3


def test_a_limit_needs_usage_and_prices(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    body = completion(r"\boxed{3}")
    del body["usage"]
    engine.scripts["m"] = lambda _: JSONResponse(body)
    args = [*run_args(tmp_path, engine_url), "--concurrency", 1]
    ended = its_eval_run(*args, "--max-tokens-total", 10)
    assert ended.returncode == 1
    assert "the server reports no usage, so that a limit" in ended.stderr
    assert len(engine.received) == 1
    ended = its_eval_run(*args, "--max-cost", 1)
    assert ended.returncode == 2
    assert "--max-cost needs --prices" in ended.stderr


def test_unknown_usage_is_null_and_said(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    bodies = [completion(r"\boxed{3}") for _ in range(3)]
    del bodies[0]["usage"]
    bodies[1]["usage"] = [5]
    engine.scripts["m"] = lambda _: JSONResponse(bodies.pop())
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--concurrency", 1, "--prices", "1,1")
    assert ended.returncode == 0, ended.stderr
    assert "2 of 3 answers came without usage: their tokens are unknown." in ended.stderr
    assert [row["tokens"] for row in rows(tmp_path / "out")] == [5, None, None]
    assert [row["prompt_tokens"] for row in rows(tmp_path / "out")] == [10, None, None]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    (model,) = summary["models"]
    assert (model["uncounted"], model["cost"], model["tokens_per_solved"]) == (2, None, None)
    assert model["tokens"]["mean"] == 5


def test_a_call_that_is_refused_for_good_can_count_as_wrong(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    def refuse_one(body: Body) -> Response:
        too_long = "What is 1" in body["messages"][0]["content"]
        return (fails(400) if too_long else says(r"\boxed{3}"))(body)

    engine.scripts["m"] = refuse_one
    ended = its_eval_run(*run_args(tmp_path, engine_url))
    assert ended.returncode == 1
    assert "--accept-failed counts them as wrong" in ended.stderr
    before = len(engine.received)
    ended = its_eval_run(*run_args(tmp_path, "http://127.0.0.1:9"), "--accept-failed")
    assert ended.returncode == 0, ended.stderr
    assert "1 of 3 calls failed: 400 no. They count as wrong." in ended.stderr
    assert len(engine.received) == before
    assert its_eval("report", tmp_path / "out").returncode == 0


@pytest.mark.parametrize("status", [400, 422])
def test_an_engine_that_refuses_seed_is_asked_without(
    status: int, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    refusal = {"error": {"message": "Unsupported parameter: 'seed'"}}

    def no_seed(body: Body) -> Response:
        return (fails(status, refusal) if "seed" in body else says(r"\boxed{3}"))(body)

    engine.scripts["m"] = no_seed
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--concurrency", 1)
    assert ended.returncode == 0, ended.stderr
    assert len(engine.received) == 4, "it is tried with a seed once"
    assert {row["seed"] for row in rows(tmp_path / "out")} == {None}
    assert "m refuses `seed`: its answers were asked for without." in ended.stderr


def test_a_refusal_that_only_names_seeds_is_the_refusal(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = fails(400, {"error": {"message": "no question on a seed, please"}})
    ended = its_eval_run(*run_args(tmp_path, engine_url))
    assert "3 of 3 calls failed: 400 no question on a seed, please" in ended.stderr
    assert isinstance(rows(tmp_path / "out")[0]["seed"], int)


def test_fields_that_are_null_are_not_sent(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts["m"] = says(r"\boxed{3}")
    extra = {"seed": None, "temperature": None, "stream_options": None, "max_completion_tokens": 9}
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--extra-body", json.dumps(extra))
    assert ended.returncode == 0, ended.stderr
    body = engine.bodies("m")[0]
    assert set(body) == {"model", "messages", "stream", "max_completion_tokens"}
    asked = about(tmp_path)["asked"]
    assert (asked["seed"], asked["temperature"], asked["max_tokens"]) == ("none", None, 9)
    assert {(row["seed"], row["temperature"]) for row in rows(tmp_path / "out")} == {(None, None)}


def test_what_extra_body_says_is_recorded_and_never_said_twice(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = says(r"\boxed{3}")
    extra = ("--extra-body", '{"seed": 5, "temperature": 0.3, "top_p": 0.9}')
    ended = its_eval_run(*run_args(tmp_path, engine_url), *extra, "--samples", 2)
    assert "one seed for all samples makes the samples of a problem alike" in ended.stderr
    asked = about(tmp_path)["asked"]
    assert (asked["seed"], asked["temperature"], asked["top_p"]) == (5, 0.3, 0.9)
    assert asked["said_by"]["temperature"] == "command"
    ended = its_eval_run(*run_args(tmp_path, engine_url, out="two"), *extra, "--top-p", 0.8)
    assert ended.returncode == 2
    assert "--extra-body: top_p is 0.9, and --top-p 0.8" in ended.stderr


ROOM = {"max_model_len": 131_072}


@pytest.mark.parametrize(
    ("model", "more", "found"),
    [
        ("DeepSeek-R1-Distill-Qwen-32B", ROOM, (0.6, 0.95, 32_768, 8)),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {}, (0.6, 0.95, 32_768, 8)),
        ("mine", {"root": "/models/QwQ-32B", **ROOM}, (0.6, 0.95, 32_768, 8)),
        ("QwQ-32B", {"max_model_len": 16_384}, (0.6, 0.95, None, 8)),
        ("unknown", ROOM, (0.0, None, None, 1)),
    ],
)
def test_a_known_model_is_asked_as_its_makers_recommend(
    model: str, more: Body, found: tuple[object, ...], engine: Engine, engine_url: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    engine.cards = [{"id": model, "object": "model", "created": 1, "owned_by": "e", **more}]
    engine.scripts[model] = says(r"\boxed{3}")
    args = [problems(tmp_path, 2), "--base-url", f"{engine_url}/v1", "--model", model]
    ended = its_eval_run(*args, "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    *sampling, samples = found
    body = engine.bodies(model)[0]
    assert [body.get(name) for name in ("temperature", "top_p", "max_tokens")] == sampling
    assert len(engine.received) == 2 * samples  # type: ignore[operator]
    warned = "Reasoning models are measured at their makers' temperature" in ended.stderr
    assert warned == (samples == 1)
    assert bool(recommended(model).temperature) or model in {"mine", "unknown"}


def test_the_summary_as_json(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts["m"] = says(r"\boxed{3}")
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--json")
    assert ended.returncode == 0, ended.stderr
    (line,) = ended.stdout.splitlines()
    found = json.loads(line)
    assert found.pop("folder") == str(tmp_path / "out")
    assert found == json.loads((tmp_path / "out" / "summary.json").read_text())
