"""SGLang's own harness, unmodified, against the proxy: it agrees with ours, or we know where not.

Runs with ITS_DOWNLOAD=1 only: it installs `sgl-eval` and its graders, half a gigabyte.
"""

import json
import subprocess
from pathlib import Path

import pytest

from eval.samples import RunFolder
from tests.conftest import Proxy
from tests.environments import environment
from tests.eval.harness import its_eval_run
from tests.eval.replayed import CONFIG, problem, replays, shared
from tests.scripted import Engine

VERSION = "0.1.3"
FEWEST = 0.95
"""Share of problems on which both must agree; the rest is printed, one by one."""


@pytest.mark.download
def test_sgl_eval_agrees(engine: Engine, start: Proxy, tmp_path: Path, data: Path) -> None:
    outputs = shared(data)
    for model in ("dsq", "qwen", "s1"):
        engine.scripts[model] = replays(outputs, model)
    url = f"{str(start(CONFIG).base_url).rstrip('/')}/v1"
    golds = {key: rows["dsq"]["gold"] for key, rows in outputs.items()}
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    for file, answer in ((ours, "answer"), (theirs, "expected_answer")):
        rows = [{"id": k, "problem": problem(k), answer: gold} for k, gold in golds.items()]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    ended = its_eval_run(ours, "--base-url", url, "--model", "vote3", "--out", tmp_path / "run")
    assert ended.returncode == 0, ended.stderr
    solved = {s.id: s.correct for s in RunFolder(tmp_path / "run").outcomes().values()}

    program = environment("sgl-eval", VERSION).with_name("sgl-eval")
    ran = subprocess.run(
        [
            str(program), "run", "aime24", "--base-url", url, "--model", "vote3",
            "--from-dataset", str(theirs), "--n-repeats", "1", "--out-dir", str(tmp_path / "sgl"),
        ],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    (dump,) = (tmp_path / "sgl").rglob("output-rs0.jsonl")
    found = [json.loads(line) for line in dump.read_text("utf-8").splitlines()]
    assert {row["id"] for row in found} == set(solved)
    differs = [row for row in found if row["symbolic_correct"] != solved[row["id"]]]
    for row in differs:
        print(f"{row['id']}: gold {golds[row['id']]!r}, sgl-eval read {row['predicted_answer']!r}"
              f" and says {row['symbolic_correct']}, we say {solved[row['id']]}")  # fmt: skip
    assert len(differs) <= (1 - FEWEST) * len(found)
