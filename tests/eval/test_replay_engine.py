"""Real models' outputs served as an engine: the harness through the proxy agrees with the grader
and with a vote over the same texts, row for row.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from starlette.responses import Response

from eval import grade
from eval.replay import read_outputs, vote
from eval.samples import RunFolder
from its.answers.workers import Workers
from tests.conftest import Proxy
from tests.eval.test_eval import its_eval
from tests.scripted import Body, Engine, speaks

MODELS = {
    "dsq": "DeepSeek-R1-Distill-Qwen-32B (repo name DSQ)",
    "qwen": "Qwen2.5-32B-Instruct",
    "s1": "s1.1-32B",
}
CONFIG = """
[engines.e]
base_url = "{engine}/v1"
[members.dsq]
engine = "e"
model = "dsq"
strategy = "similar"
[members.qwen]
engine = "e"
model = "qwen"
strategy = "unsimilar"
[members.s1]
engine = "e"
model = "s1"
strategy = "random"
[panels.vote3]
members = ["dsq", "qwen", "s1"]
early_stop = false
"""
Rows: TypeAlias = dict[str, dict[str, dict[str, Any]]]
"""problem -> model -> row"""

LABELS_WRONG = 2
"""Rows of all generations whose verdict differs from their label (Answers allows as many)."""


@pytest.fixture(scope="module")
def outputs(data: Path) -> Rows:
    """The rows of problems that all three models answered."""
    short = {long: name for name, long in MODELS.items()}
    found: Rows = {}
    with (data / "generations.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["model"] in short:
                found.setdefault(row["problem_id"], {}).setdefault(short[row["model"]], row)
    return {problem: rows for problem, rows in found.items() if len(rows) == len(MODELS)}


def replays(outputs: Rows, model: str) -> Callable[[Body], Response]:
    """Answer each problem as the real model did."""

    def answer(body: Body) -> Response:
        asked = re.search(r"\[\[(.+?)\]\]", body["messages"][-1]["content"])
        assert asked
        return speaks(outputs[asked[1]][model]["text"])(body)

    return answer


def test_the_harness_agrees_with_the_grader_and_the_vote(
    engine: Engine, start: Proxy, tmp_path: Path, data: Path,
    outputs: Rows,
) -> None:  # fmt: skip
    assert len(outputs) > 150
    for model in MODELS:
        engine.scripts[model] = replays(outputs, model)
    proxy = start(CONFIG)
    file = tmp_path / "problems.jsonl"
    lines = [
        json.dumps({"id": key, "problem": f"[[{key}]]", "answer": rows["dsq"]["gold"]})
        for key, rows in outputs.items()
    ]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    url = f"{str(proxy.base_url).rstrip('/')}/v1"
    ended = its_eval(file, "--base-url", url, "--model", "vote3", "--out", tmp_path / "run")
    assert ended.returncode == 0, ended.stderr
    samples = {sample.id: sample for sample in RunFolder(tmp_path / "run").latest().values()}

    chosen = tmp_path / "chosen.jsonl"
    order = [(key, model) for key in outputs for model in MODELS]
    chosen.write_text("".join(json.dumps(outputs[k][m]) + "\n" for k, m in order), "utf-8")
    offline = grade.grade(grade.read_rows(chosen, sure=False), 1)
    differs = []
    with Workers() as graders:
        for (key, model), result in zip(order, offline, strict=True):
            (ballot,) = [b for b in samples[key].input_time["ballots"] if b["member"] == model]
            assert ballot["answer"] == result.read, (key, model)
            if not result.right:
                differs.append((key, model))
        read = read_outputs(chosen)
        voted = {
            key: vote([output for output in read if output.problem == key], "majority", graders)
            for key in outputs
        }
    assert len(differs) <= LABELS_WRONG, differs
    assert {key: sample.correct for key, sample in samples.items()} == voted
