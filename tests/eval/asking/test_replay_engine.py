"""Real models' outputs served as an engine: the harness through the proxy agrees with the grader
and with a vote over the same texts, row for row.
"""

import json
from pathlib import Path

from eval.grading import rows as grade
from eval.replaying.plan import plan
from eval.replaying.replay import replay
from eval.replaying.stored import read_stored
from eval.samples import RunFolder
from its.answers.algebra.workers import Workers
from tests.conftest import Proxy
from tests.eval.harness import its_eval_run
from tests.eval.replayed import CONFIG, MODELS, problem, replays, shared
from tests.scripted import Engine

LABELS_WRONG = 2
"""Rows of all generations whose verdict differs from their label (Answers allows as many)."""


def test_the_harness_agrees_with_the_grader_and_the_vote(
    engine: Engine, start: Proxy, tmp_path: Path, data: Path
) -> None:
    outputs = shared(data)
    assert len(outputs) > 150
    for model in MODELS:
        engine.scripts[model] = replays(outputs, model)
    proxy = start(CONFIG)
    file = tmp_path / "problems.jsonl"
    lines = [
        json.dumps({"id": key, "problem": problem(key), "answer": rows["dsq"]["gold"]})
        for key, rows in outputs.items()
    ]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    url = f"{str(proxy.base_url).rstrip('/')}/v1"
    ended = its_eval_run(file, "--base-url", url, "--model", "vote3", "--out", tmp_path / "run")
    assert ended.returncode == 0, ended.stderr
    samples = {sample.id: sample for sample in RunFolder(tmp_path / "run").outcomes().values()}

    chosen = tmp_path / "chosen.jsonl"
    order = [(key, model) for key in outputs for model in MODELS]
    chosen.write_text("".join(json.dumps(outputs[k][m]) + "\n" for k, m in order), "utf-8")
    offline = grade.grade_rows(grade.read_rows(chosen, sure=False), 2)
    differs = []
    with Workers() as graders:
        for (key, model), result in zip(order, offline, strict=True):
            (ballot,) = [b for b in samples[key].input_time["ballots"] if b["member"] == model]
            assert ballot["answer"] == result.read, (key, model)
            if not result.right:
                differs.append((key, model))
        members = tuple(MODELS.values())
        voted = replay(read_stored([chosen], graders), plan("majority", {}, members), number=1)
    assert len(differs) <= LABELS_WRONG, differs
    assert {key: sample.correct for key, sample in samples.items()} == {
        key: bool(means.right) for key, means in voted.means.items()
    }
