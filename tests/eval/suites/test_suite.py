"""`its-eval suite`: tasks x models, resumable; what fails does not take the others with it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from eval.asking.commands import run
from eval.errors import EvalError
from eval.suites.plan import read_suite
from tests.conftest import PLAIN, ROOT
from tests.eval.harness import its_eval
from tests.scripted import Engine, fails, says, says_after

SUITE = """
out = "cells"
tasks = ["one.csv", {{ name = "two.jsonl", label = "second", limit = 1 }}]
models = ["good", {{ name = "bad", label = "the/bad", retries = 0 }}]
[run]
base_url = "{url}/v1"
samples = 1
max-tokens = 99
extra_body = {{ top_k = 5 }}
"""


@pytest.fixture
def suite(tmp_path: Path, engine_url: str) -> Path:
    (tmp_path / "one.csv").write_text("id,question,answer\na,1+1?,2\nb,1+2?,3\n")
    (tmp_path / "two.jsonl").write_text(
        '{"problem": "x", "answer": 2}\n{"problem": "y", "answer": 3}\n'
    )
    file = tmp_path / "suite.toml"
    file.write_text(SUITE.format(url=engine_url))
    return file


def cells(file: Path, *more: object, status: int = 0) -> list[dict[str, Any]]:
    ended = its_eval("suite", file, "--json", *more)
    assert ended.returncode == status, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_every_task_is_run_with_every_model(suite: Path, engine: Engine) -> None:
    engine.scripts |= {"good": says(r"\boxed{2}"), "bad": says(r"\boxed{3}")}
    found = cells(suite)
    assert [(each["task"], each["model"], each["pass_at_1"]) for each in found] == [
        ("one.csv", "good", 0.5), ("one.csv", "bad", 0.5),
        ("two.jsonl", "good", 1.0), ("two.jsonl", "bad", 0.0),
    ]  # fmt: skip
    assert {each["status"] for each in found} == {"done"}
    assert [Path(each["folder"]).name for each in found] == [
        "one.csv-good", "one.csv-the_bad", "second-good", "second-the_bad",
    ]  # fmt: skip
    assert all(body.body["max_tokens"] == 99 for body in engine.received)
    assert all(body.body["top_k"] == 5 for body in engine.received)
    asked = len(engine.received)
    assert cells(suite) == found
    assert len(engine.received) == asked, "finished cells are not asked again"
    shown = its_eval("suite", suite).stdout
    for word in ("task", "model", "pass@1", "status", "one.csv", "two.jsonl", "50.0%", "done"):
        assert word in shown
    table = its_eval("suite", suite, "--csv").stdout.splitlines()
    assert table[0].startswith("task,model,pass@1")
    assert len(table) == 5


def test_a_bad_model_or_task_loses_no_other(suite: Path, engine: Engine) -> None:
    engine.scripts |= {"good": says(r"\boxed{2}"), "bad": fails(400)}
    (suite.parent / "two.jsonl").unlink()
    found = cells(suite, status=1)
    assert [each["status"] for each in found] == ["done", "partial", "failed", "failed"]
    assert "two.jsonl" in found[2]["error"]
    assert found[1]["failed"] == 2
    ended = its_eval("suite", suite)
    assert "3 of 4 cells are not done; the same command goes on" in ended.stderr
    assert "[1/4] one.csv, good" in ended.stderr
    assert "two.jsonl, good: " in ended.stdout, "each reason stands below the table"
    engine.scripts["bad"] = says(r"\boxed{3}")
    (suite.parent / "two.jsonl").write_text('{"problem": "x", "answer": 2}\n')
    assert [each["status"] for each in cells(suite)] == ["done"] * 4


def test_a_dry_run_asks_nothing(suite: Path, engine: Engine) -> None:
    found = cells(suite, "--dry-run")
    assert [each["status"] for each in found] == ["not begun"] * 4
    assert not engine.received
    assert not (suite.parent / "cells").exists()


def test_an_interrupted_suite_shows_what_there_is_and_goes_on(suite: Path, engine: Engine) -> None:
    engine.scripts |= {"good": says(r"\boxed{2}"), "bad": says_after(60, r"\boxed{3}")}
    process = subprocess.Popen(
        [sys.executable, "-m", "eval", "suite", suite, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, **PLAIN},
    )  # fmt: skip
    while not engine.bodies("bad") and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    statuses = [json.loads(line)["status"] for line in out.splitlines()]
    assert statuses[0] == "done"
    assert statuses[2:] == ["not begun", "not begun"]
    engine.scripts["bad"] = says(r"\boxed{3}")
    before = len(engine.bodies("good"))
    assert {each["status"] for each in cells(suite)} == {"done"}
    assert len(engine.bodies("good")) == before + 1, "only the cell that was not begun"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tasks = [", "not TOML"),
        ("task = ['x']", "Unknown key 'task'. Did you mean 'tasks'"),
        ("models = ['m']", "tasks must be a list with at least one"),
        ("tasks = ['arith']\nmodels = []", "models must be a list"),
        ("tasks = ['arith']\nmodels = ['m']", "model 'm' has no base_url"),
        ("tasks = [{ limit = 3 }]\nmodels = ['m']", "tasks number 1 has no `name`"),
        ("tasks = ['arith']\nmodels = ['m', 'm']", "'m' stands twice; give one of them a `label`"),
        ("tasks = ['arith']\nmodels = ['m']\n[run]\ntemprature = 1", "Did you mean 'temperature'"),
        ("tasks = ['arith']\nmodels = ['m']\n[run]\nout = 'x'", "Unknown option 'out'"),
        (
            "tasks = ['arith']\nmodels = ['m']\n[run]\ntemperature = 'x'",
            "must be a number, not 'x'",
        ),
        ("tasks = ['arith']\nmodels = ['m']\n[run]\nsamples = 0", "samples must be at least 1"),
        ("tasks = ['arith']\nmodels = ['m']\n[run]\ntop_p = 2", "at least 0 and at most 1"),
        ("tasks = ['arith']\nmodels = ['m']\n[run]\ntemperature = nan", "must be a finite number"),
        ("tasks = ['arith']\nmodels = ['m']\n[run]\nfresh = 1", "must be true or false"),
        ("tasks = ['arith']\nmodels = ['m']\n[run]\nsamples = true", "must be a whole number"),
    ],
)
def test_a_wrong_file_is_one_line_before_anything_is_asked(
    tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(text)
    with pytest.raises(EvalError, match=told):
        read_suite(file)


def test_options_are_those_of_run_and_the_models_win(tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(
        "tasks = [{name='arith', max_tokens=5, seed=2}]\n"
        "models = [{name='m', base_url='http://127.0.0.1:1/v1', max_tokens=7, data='d.csv'}]\n"
        "[run]\nseed=1\nanswers='label'\ntimeout=5\n"
    )
    (cell,) = read_suite(file)
    assert cell.options == {
        "seed": 2, "answer_kind": "label", "timeout": 5.0, "max_tokens": 7,
        "base_url": "http://127.0.0.1:1/v1", "data": tmp_path / "d.csv",
    }  # fmt: skip
    assert cell.folder == tmp_path / "runs" / "suite" / "arith-m"
    assert callable(run)
