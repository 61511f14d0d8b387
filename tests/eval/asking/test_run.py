"""The harness against a scripted server: resume, seeds, figures, errors."""

import errno
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from eval.asking.ask_all import RunSpec, Sampling
from eval.asking.measure import measure
from eval.errors import EvalError
from eval.samples import RunFolder
from eval.tasks.load import load
from tests.conftest import ROOT
from tests.eval.harness import ENV, RUN, its_eval_run, problems, rows
from tests.scripted import (
    Body,
    Engine,
    completion,
    fails,
    says,
    says_after,
    serving,
    speaks,
)


def always_three(body: Body) -> JSONResponse:
    return JSONResponse(completion(r"\boxed{3}"))


def test_a_run_prints_and_keeps_every_answer(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = always_three
    out = tmp_path / "out"
    args = [problems(tmp_path), "--base-url", f"{engine_url}/v1", "--model", "m", "--out", out]
    ended = its_eval_run(*args, "--samples", 2, "--seed", 7, "--max-tokens", 9)
    assert ended.returncode == 0, ended.stderr
    assert "16.7%" in ended.stdout
    assert "maj@2" in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80, "it fits a terminal"
    found = rows(out)
    assert len(found) == 12
    assert sum(bool(row["correct"]) for row in found) == 2
    seeds = [body["seed"] for body in engine.bodies("m")]
    assert len(set(seeds)) == 12, "no two samples share a seed"
    assert sorted(seeds) == sorted(row["seed"] for row in found)  # type: ignore[type-var]
    assert engine.bodies("m")[0]["max_tokens"] == 9
    assert "input_time" not in engine.bodies("m")[0], "this server knows nothing of it"
    asked = len(engine.received)
    again = its_eval_run(*args, "--samples", 2, "--seed", 7, "--max-tokens", 9)
    assert again.returncode == 0
    assert len(engine.received) == asked, "what is done is not asked again"
    other = its_eval_run(*args, "--samples", 2, "--seed", 8, "--max-tokens", 9)
    assert other.returncode == 2
    assert "seed was 7 and is 8" in other.stderr
    assert "--fresh" in other.stderr
    fresh = its_eval_run(*args, "--seed", 8, "--fresh")
    assert fresh.returncode == 0
    assert len(rows(out)) == 6


def test_a_killed_run_goes_on_where_it_stopped(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = says_after(0.2, r"\boxed{3}")
    out = tmp_path / "out"
    args = [str(problems(tmp_path, 20)), "--base-url", f"{engine_url}/v1", "--model", "m"]
    args += ["--out", str(out), "--concurrency", "2"]
    process = subprocess.Popen([*RUN, *args], env=ENV, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (out / "samples.jsonl").exists() or len(rows(out)) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {(row["id"], row["sample"]) for row in rows(out)}
    with (out / "samples.jsonl").open("a") as file:
        file.write('{"id": "half a row')
    before = len(engine.received)
    ended = its_eval_run(*args)
    assert ended.returncode == 0, ended.stderr
    assert len(rows(out)) == 20
    assert len(engine.received) - before == 20 - len(done)


def test_a_second_run_in_the_folder_ends_at_once(tmp_path: Path) -> None:
    args = [problems(tmp_path), "--base-url", "http://127.0.0.1:9/v1", "--model", "m"]
    with RunFolder(tmp_path / "out").locked():
        ended = its_eval_run(*args, "--out", tmp_path / "out")
    assert ended.returncode == 2
    assert "out: another run is at work here" in ended.stderr


def test_ctrl_c_keeps_what_is_done(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    engine.scripts["m"] = says_after(0.3, r"\boxed{3}")
    out = tmp_path / "out"
    args = [str(problems(tmp_path, 40)), "--base-url", f"{engine_url}/v1", "--model", "m"]
    process = subprocess.Popen(
        [*RUN, *args, "--out", str(out)], env=ENV, cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (out / "samples.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert rows(out)


def test_failed_calls_are_wrong_reported_and_asked_again(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = fails(500)
    out = tmp_path / "out"
    args = [problems(tmp_path), "--base-url", f"{engine_url}/v1", "--model", "m", "--out", out]
    ended = its_eval_run(*args, "--retries", 0)
    assert ended.returncode == 1
    assert "6 calls failed" in ended.stderr
    assert len(engine.received) == 6, "only what was asked for is repeated"
    engine.scripts["m"] = says(r"\boxed{3}")
    assert its_eval_run(*args).returncode == 0
    assert len(RunFolder(out).outcomes()) == 6


def test_two_runs_with_a_seed_choose_the_same_personas(
    engine: Engine, proxy: httpx.Client, tmp_path: Path
) -> None:
    engine.scripts["r"] = speaks(r"\boxed{1}")

    def personas(seed: int, out: str) -> list[object]:
        args = ["--base-url", f"{proxy.base_url}/v1", "--model", "r", "--seed", seed]
        its_eval_run(problems(tmp_path), *args, "--out", tmp_path / out)
        found = sorted(rows(tmp_path / out), key=lambda row: str(row["id"]))
        return [row["input_time"]["persona"] for row in found]  # type: ignore[index]

    assert personas(1, "a") == personas(1, "b")
    assert personas(1, "a") != personas(2, "c")


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (["aime99"], 2, "no task 'aime99'"),
        (["no.jsonl"], 2, "cannot read no.jsonl"),
        (["arith", "--limit", "1"], 1, "cannot ask http://127.0.0.1:9/v1"),
        (["arith", "--samples", "0"], 2, "samples"),
        (["arith", "--base-url", "http://["], 2, "--base-url: 'http://[' has no valid host"),
        (["arith", "--base-url", "http://h:70000/v1"], 2, "not 1 to 65535"),
    ],
)
def test_bad_usage_is_one_clear_line(
    args: list[str], code: int, reason: str, tmp_path: Path
) -> None:
    ended = its_eval_run(
        *("--base-url", "http://127.0.0.1:9/v1", *args), "--model", "m", "--out", tmp_path / "o"
    )
    assert ended.returncode == code
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_is_none_of_openais_is_told(tmp_path: Path) -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        await Response("<html>hello</html>", media_type="text/html")(scope, receive, send)

    with serving(page) as url:
        ended = its_eval_run("arith", "--base-url", url, "--model", "m", "--out", tmp_path / "o")
    assert ended.returncode == 1
    assert "no list of models" in ended.stderr
    assert not (tmp_path / "o").exists(), "nothing was begun"
    assert "Traceback" not in ended.stderr


def test_a_base_url_without_v1_will_do(engine: Engine, proxy: httpx.Client, tmp_path: Path) -> None:
    engine.scripts["n"] = speaks(r"\boxed{3}")
    for url in (str(proxy.base_url).rstrip("/"), f"{proxy.base_url}/"):
        args = ["--base-url", url, "--model", "n", "--out", tmp_path / "o", "--fresh"]
        ended = its_eval_run(problems(tmp_path), *args)
        assert ended.returncode == 0, ended.stderr
    assert {received.path for received in engine.received} == {"/v1/chat/completions"}


def test_answers_of_nobody_knows_what_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text("{}\n")
    with pytest.raises(EvalError, match=r"no run\.json"):
        RunFolder(tmp_path).start({"model": "m"}, {}, fresh=False)
    RunFolder(tmp_path).start({"model": "m"}, {}, fresh=True)
    assert not (tmp_path / "samples.jsonl").exists()


def test_a_disk_that_is_full_is_told(
    engine: Engine, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    engine.scripts["m"] = always_three
    task = load("p", data=problems(tmp_path), seed=0)
    spec = RunSpec(task, f"{engine_url}/v1", Sampling("m"), tmp_path / "o", concurrency=2)
    monkeypatch.setattr(RunFolder, "append", full)
    with pytest.raises(EvalError, match=r"cannot write .* No space left"):
        measure(spec)
    monkeypatch.undo()
    (tmp_path / "o" / "summary.json").mkdir()
    with pytest.raises(EvalError, match=r"cannot write .* Is a directory"):
        measure(spec)
    (tmp_path / "o" / "summary.json").rmdir()
    assert measure(spec)[0].failed() == 0, "what was done is kept"
