"""A vote replayed on outputs that are already there."""

import json
from pathlib import Path

from tests.eval.harness import its_eval

TEXTS = {
    "p1": {"a": r"\boxed{1/2}", "b": r"\boxed{0.5}", "c": r"\boxed{3}"},
    "p2": {"a": r"\boxed{7}", "b": r"\boxed{8}", "c": "no idea"},
    "p3": {"a": r"\boxed{7}", "b": r"\boxed{7}"},
}
GOLDS = {"p1": r"\frac12", "p2": "8", "p3": "7"}


def test_the_vote_stands_beside_each_model(tmp_path: Path) -> None:
    rows = [
        {"problem_id": problem, "model": model, "text": text, "gold": GOLDS[problem]}
        for problem, texts in TEXTS.items()
        for model, text in texts.items()
    ]
    again = {**rows[0], "text": r"\boxed{9}"}
    file = tmp_path / "outputs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, again]))
    ended = its_eval("replay", file)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[2:] == [
        "| a | 2 | 1 (50.0%) | 1 (50.0%) |",
        "| b | 2 | 2 (100.0%) | 1 (50.0%) |",
        "| c | 2 | 0 (0.0%) | 1 (50.0%) |",
        "| all of them, voting | 2 | 1 (50.0%) | 1 (50.0%) |",
    ]


def test_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"model": "a"}\n')
    ended = its_eval("replay", tmp_path / "bad.jsonl")
    assert ended.returncode == 2
    assert "line 1: not {problem_id" in ended.stderr
    ended = its_eval("replay", tmp_path / "bad.jsonl", "--method", "best")
    assert ended.returncode == 2
    assert "there are: majority" in ended.stderr
