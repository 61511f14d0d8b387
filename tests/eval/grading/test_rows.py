"""The grader's measure on real rows, and its command."""

import json
from pathlib import Path

import pytest

from eval.grading import rows as grade
from tests.conftest import command

ROWS = [
    {"expected": "1/2", "candidate": r"\frac{1}{2}", "equal": True},
    {"expected": r"\sqrt{12}", "candidate": r"2\sqrt{3}", "equal": True},
    {"expected": "3", "candidate": "4", "equal": True},
    {"expected": "5", "candidate": "5", "equal": False},
    {"gold": "7", "text": r"so \boxed{7}", "label": True},
    {"gold": "7", "text": "no idea", "label": False},
    {"expected": "x", "candidate": "y", "equal": True, "doubt": "arguable"},
    {"gold": "4", "text": "so the answer is 4", "label": False, "gen_id": 1562},
    {"expected": "9^{9^{9^9}}", "candidate": "9^{9^{9^8}}", "equal": False},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def test_the_figures(rows: Path) -> None:
    ended = command("eval", "grade", rows, "--json", "--show")
    assert ended.returncode == 0, ended.stderr
    *wrong, figures = map(json.loads, ended.stdout.splitlines())
    assert {key: figures[key] for key in list(figures)[:5]} == {
        "total": 9,
        "right": 6,
        "false_negatives": 2,
        "false_positives": 1,
        "undecided": 1,
    }
    assert list(figures)[5:] == ["ms_p50", "ms_p95", "ms_max"]
    assert [row["line"] for row in wrong] == [3, 4, 7]
    shown = command("eval", "grade", rows, "--sure", "--jobs", "3")
    assert "6/8 (75.00%)" in shown.stdout


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "line 1"), ("[]", "line 1"), ('{"gold": "1"}', "line 1: not {exp")]
)
def test_bad_rows(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    ended = command("eval", "grade", tmp_path / "rows.jsonl")
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert "cannot read" in command("eval", "grade", tmp_path / "none.jsonl").stderr


REAL = [
    ("grader_pairs.jsonl", True, 0.99, 0),
    ("grader_pairs.jsonl", False, 0.97, 5),
    ("grader_synth_pairs.jsonl", False, 1.0, 0),
    ("generations.jsonl", False, 0.998, 0),
    ("grader_reports.jsonl", True, 0.98, 0),
    ("grader_reports.jsonl", False, 0.93, 1),
    ("grader_holds.jsonl", False, 1.0, 0),
]


@pytest.mark.parametrize(("name", "sure", "share", "false_positives"), REAL)
def test_real_rows(data: Path, name: str, sure: bool, share: float, false_positives: int) -> None:
    figures = grade.summary(grade.grade(grade.read_rows(data / name, sure=sure), jobs=2))
    assert figures["right"] >= share * figures["total"]
    assert figures["false_positives"] <= false_positives


def test_a_busy_machine_gives_the_same_verdicts(data: Path) -> None:
    rows = grade.read_rows(data / "grader_pairs.jsonl", sure=False)
    alone, busy = ([result.verdict for result in grade.grade(rows, jobs=jobs)] for jobs in (1, 8))
    assert alone == busy


def test_few_labels_are_adjudicated(data: Path) -> None:
    adjudicated = grade.adjudications()
    labels = {}
    for line in (data / "generations.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        labels[row["gen_id"]] = row["label"]
    assert len(adjudicated) <= 0.01 * len(labels)
    assert all(labels[gen_id] != label for gen_id, label in adjudicated.items())
