"""The harness against a scripted server: resume, seeds, figures, errors."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response

from eval import arith
from eval.ask import Patience
from eval.estimators import wilson
from eval.figures import figures
from eval.hub import HUB_SETS, HubSet, columns
from eval.problem import Problem
from eval.run import Sampling
from eval.run_job import EndError, Job, measure
from eval.samples import RunError, RunFolder, Sample
from eval.tasks import Task, TaskError, load, read_file, write_file
from its.answers import Sample as Sampled
from its.answers import Unread, parse
from its.answers.algebra.judge import Judge
from tests.conftest import MEMBERS, PLAIN, ROOT, Proxy, command
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

RUN = [sys.executable, "-m", "eval", "run"]
ENV = {**os.environ, **PLAIN}
ROW = columns("problem", "answer", "id")


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def problems(folder: Path, count: int = 6) -> Path:
    file = folder / "problems.jsonl"
    lines = [{"id": f"p{i}", "problem": f"What is {i} + 1?", "answer": i + 1} for i in range(count)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def its_eval(*args: object) -> subprocess.CompletedProcess[str]:
    return command("eval", "run", *args)


def always_three(body: Body) -> JSONResponse:
    return JSONResponse(completion(r"\boxed{3}"))


def test_a_run_prints_and_keeps_every_answer(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = always_three
    out = tmp_path / "out"
    args = [problems(tmp_path), "--base-url", f"{engine_url}/v1", "--model", "m", "--out", out]
    ended = its_eval(*args, "--samples", 2, "--seed", 7, "--max-tokens", 9)
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
    again = its_eval(*args, "--samples", 2, "--seed", 7, "--max-tokens", 9)
    assert again.returncode == 0
    assert len(engine.received) == asked, "what is done is not asked again"
    other = its_eval(*args, "--samples", 2, "--seed", 8, "--max-tokens", 9)
    assert other.returncode == 2
    assert "seed was 7 and is 8" in other.stderr
    assert "--fresh" in other.stderr
    fresh = its_eval(*args, "--seed", 8, "--fresh")
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
    ended = its_eval(*args)
    assert ended.returncode == 0, ended.stderr
    assert len(rows(out)) == 20
    assert len(engine.received) - before == 20 - len(done)


def test_a_second_run_in_the_folder_ends_at_once(tmp_path: Path) -> None:
    args = [problems(tmp_path), "--base-url", "http://127.0.0.1:9/v1", "--model", "m"]
    with RunFolder(tmp_path / "out").alone():
        ended = its_eval(*args, "--out", tmp_path / "out")
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
    ended = its_eval(*args, "--retries", 0)
    assert ended.returncode == 1
    assert "6 calls failed" in ended.stderr
    assert len(engine.received) == 6, "only what was asked for is repeated"
    engine.scripts["m"] = says(r"\boxed{3}")
    assert its_eval(*args).returncode == 0
    assert len(RunFolder(out).latest()) == 6


def test_a_panels_members_are_shown_from_its_ballots(
    engine: Engine, proxy: httpx.Client, tmp_path: Path
) -> None:
    engine.scripts.update({"s": says(r"\boxed{1}"), "u": says(r"\boxed{3}"), "r": says("none")})
    out = tmp_path / "out"
    ended = its_eval(
        problems(tmp_path), "--base-url", f"{proxy.base_url}/v1", "--model", "vote3", "--out", out
    )
    assert ended.returncode == 0, ended.stderr
    table = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    shown = [row[:3] for row in table if row[0] in {"s", "u", "r", "vote3"}]
    assert shown == [
        ["s", "similar", "1/6"],
        ["u", "unsimilar", "1/6"],
        ["r", "random", "0/6"],
        ["vote3", "vote of 3", "1/6"],
    ]
    report = subprocess.run(
        [sys.executable, "-m", "eval", "report", str(out)],
        capture_output=True,
        text=True,
        env=ENV,
        cwd=ROOT,
    )
    assert "vote of 3" in report.stdout


def test_members_of_a_panel_that_stopped_early_have_no_figures_of_their_own(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    """Calls that are cancelled are those of hard problems or slow members: no draw by chance."""
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = true"))
    engine.scripts.update({name: speaks(r"\boxed{3}") for name in "su"})
    engine.scripts["r"] = says_after(5, r"\boxed{3}")
    out, url = tmp_path / "out", f"{proxy.base_url}/v1"
    ended = its_eval(problems(tmp_path), "--base-url", url, "--model", "vote3", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "vote of 3, early" in ended.stdout
    assert "similar" not in ended.stdout
    assert "early: the panel stopped as soon as it was settled" in ended.stdout
    (row,) = json.loads((out / "summary.json").read_text())["models"]
    assert (row["name"], row["pass_at_1"]["value"]) == ("vote3", pytest.approx(1 / 6))
    page = tmp_path / "page.html"
    assert command("eval", "report", out, "--html", page).returncode == 0
    assert "members&#39; own figures would mislead" in page.read_text()
    ended = command("eval", "compare", out)
    assert ended.returncode == 2
    assert "or it stopped early" in ended.stderr


def test_two_runs_with_a_seed_choose_the_same_personas(
    engine: Engine, proxy: httpx.Client, tmp_path: Path
) -> None:
    engine.scripts["r"] = speaks(r"\boxed{1}")

    def personas(seed: int, out: str) -> list[object]:
        args = ["--base-url", f"{proxy.base_url}/v1", "--model", "r", "--seed", seed]
        its_eval(problems(tmp_path), *args, "--out", tmp_path / out)
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
    ended = its_eval(
        *("--base-url", "http://127.0.0.1:9/v1", *args), "--model", "m", "--out", tmp_path / "o"
    )
    assert ended.returncode == code
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


BAD_ROWS = [
    ("{", ":1: not JSON"),
    ("[]", ":1: not an object"),
    ('{"id": 1, "problem": "x"}', ":1: 'answer' is missing"),
    ('{"id": 1, "problem": " ", "answer": 2}', ":1: 'problem' is missing or empty"),
    ('{"id": 1, "problem": "x", "answer": 2}\n{"id": 1, "problem": "y", "answer": 2}', "twice"),
    ("", "no problems"),
]


def test_a_task_with_odd_ends_of_lines_is_read_as_it_was_written(tmp_path: Path) -> None:
    task = Task("t", (Problem("1", "One\u2028two\x85three", "7"),))
    write_file(task, tmp_path / "t.jsonl")
    assert read_file(tmp_path / "t.jsonl") == list(task.problems)


@pytest.mark.parametrize(("text", "reason"), BAD_ROWS)
def test_a_bad_file_names_its_line(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(text)
    with pytest.raises(TaskError, match=reason) as error:
        read_file(file)
    assert str(file) in str(error.value)


def test_a_public_set_is_read_by_the_hubs_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loader is the real one; the data set is a folder of our own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    folder = tmp_path / "set"
    folder.mkdir()
    problems(folder, 3).rename(folder / "train.jsonl")
    monkeypatch.setitem(HUB_SETS, "aime24", HubSet(str(folder), "train", 3, ROW))
    assert [p.id for p in load("aime24", data=None, seed=0).problems] == ["p0", "p1", "p2"]
    monkeypatch.setitem(HUB_SETS, "aime24", HubSet(str(folder), "train", 30, ROW))
    with pytest.raises(TaskError, match="3 rows where 30 were expected"):
        load("aime24", data=None, seed=0)
    monkeypatch.setitem(HUB_SETS, "aime24", HubSet(str(tmp_path / "no"), "train", 30, ROW))
    with pytest.raises(TaskError, match="--data FILE"):
        load("aime24", data=None, seed=0)


def test_real_problems_are_read(data: Path) -> None:
    for name in ("aime24", "aime25"):
        task = load(name, data=data / f"{name}.jsonl", seed=0)
        assert len(task.problems) == 30
        assert all(parse(problem.answer) for problem in task.problems)


@given(st.integers(0, 50), st.integers(1, 40))
def test_our_own_problems_are_seeded_and_solvable(seed: int, count: int) -> None:
    made = arith.problems(count, seed)
    assert made == arith.problems(count + 5, seed)[:count]
    assert len({problem.problem for problem in made}) == count
    assert all(int(problem.answer) > 0 for problem in made)


def test_wilson_against_published_values() -> None:
    # Newcombe (Statistics in Medicine 17, 1998), table I, method 3.
    for successes, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        found = wilson(successes / n, n)
        assert found == pytest.approx((low, high), abs=5e-5)


def test_the_score_is_a_mean_over_problems() -> None:
    def sample(key: str, index: int, correct: bool, answer: str = "1", **more: object) -> Sample:
        return Sample(key, index, 0, "1", "q", answer=answer, correct=correct, **more)  # type: ignore[arg-type]

    found = figures(
        "m",
        [
            sample("a", 0, True, tokens=10),
            sample("a", 1, False, answer="2", tokens=20, finish_reason="length"),
            sample("b", 0, True, tokens=30),
            Sample("b", 1, 0, "1", "q", error="timeout"),
        ],
        lambda: lambda _: Unread.EXHAUSTED,
    )
    assert found.pass_at_1.value == 0.5
    assert (found.problems, found.samples, found.cut, found.failed) == (2, 4, 1, 1)
    assert found.tokens.mean == 20
    assert found.tokens_per_solved == 30
    assert found.pass_at_k == [0.5, 1.0]
    assert found.maj_at_k == [0.5, 0.75], "a tie is shared, and a call that failed has no vote"


def test_each_problem_has_the_whole_patience_of_a_judge() -> None:
    """One judge for all would tire of the first problems, and split what is equal in the rest."""
    spellings = ("sqrt(8)", "2*sqrt(2)")
    samples = [
        Sample(f"{problem}", index, 0, "2*sqrt(2)", "q", answer=answer, correct=True)
        for problem in range(4)
        for index, answer in enumerate(spellings)
    ]

    def judges() -> Judge:
        left = iter(spellings)

        def judge(text: str) -> Sampled | Unread:
            if next(left, None) is None:
                return Unread.EXHAUSTED
            point = (Decimal("2.828427"), Decimal(0))
            return Sampled((point, point), constant=True)

        return judge

    assert figures("m", samples, judges).agreement == 1


def test_a_server_that_is_none_of_openais_is_told(tmp_path: Path) -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        await Response("<html>hello</html>", media_type="text/html")(scope, receive, send)

    with serving(page) as url:
        ended = its_eval("arith", "--base-url", url, "--model", "m", "--out", tmp_path / "o")
    assert ended.returncode == 1
    assert "no list of models" in ended.stderr
    assert not (tmp_path / "o").exists(), "nothing was begun"
    assert "Traceback" not in ended.stderr


def test_answers_of_nobody_knows_what_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"no run\.json"):
        RunFolder(tmp_path).open({"model": "m"}, {}, fresh=False)
    RunFolder(tmp_path).open({"model": "m"}, {}, fresh=True)
    assert not (tmp_path / "samples.jsonl").exists()


def test_a_disk_that_is_full_is_told(
    engine: Engine, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    engine.scripts["m"] = always_three
    task = load("p", data=problems(tmp_path), seed=0)
    job = Job(
        task, f"{engine_url}/v1", Sampling("m"), tmp_path / "o", concurrency=2,
        patience=Patience(), stop_on_error=False, fresh=False, prices=None,
    )  # fmt: skip
    monkeypatch.setattr(RunFolder, "append", full)
    with pytest.raises(EndError, match=r"cannot write .* No space left"):
        measure(job)
    monkeypatch.undo()
    (tmp_path / "o" / "summary.json").mkdir()
    with pytest.raises(EndError, match=r"cannot write .* Is a directory"):
        measure(job)
    (tmp_path / "o" / "summary.json").rmdir()
    assert measure(job) == 0, "what was done is kept"
