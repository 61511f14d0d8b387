"""The grader's measure on real rows, and its command."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from eval.grading import rows as grade
from tests.conftest import longer
from tests.eval.harness import its_eval

Graded = Callable[[str], list[grade.GradedRow]]

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
    ended = its_eval("grade", rows, "--json", "--show")
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
    shown = its_eval("grade", rows, "--sure", "--jobs", "3")
    assert "6/8 (75.00%)" in shown.stdout


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "line 1"), ("[]", "line 1"), ('{"gold": "1"}', "line 1: not {exp")]
)
def test_bad_rows(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    ended = its_eval("grade", tmp_path / "rows.jsonl")
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert "cannot read" in its_eval("grade", tmp_path / "none.jsonl").stderr


REAL = [
    ("grader_pairs.jsonl", True, 0.99, 0),
    ("grader_pairs.jsonl", False, 0.97, 5),
    ("grader_synth_pairs.jsonl", False, 1.0, 0),
    ("generations.jsonl", False, 0.998, 0),
    ("grader_reports.jsonl", True, 0.98, 0),
    ("grader_reports.jsonl", False, 0.93, 1),
    ("grader_holds.jsonl", False, 1.0, 0),
]


@pytest.fixture(scope="module")
def graded(data: Path) -> Graded:
    """Grade a file of real rows, once for all tests of this module."""

    @cache
    def of(name: str) -> list[grade.GradedRow]:
        return grade.grade_rows(grade.read_rows(data / name, sure=False), jobs=2)

    return of


@pytest.mark.parametrize(("name", "sure", "share", "false_positives"), REAL)
def test_real_rows(
    graded: Graded, data: Path, name: str, sure: bool, share: float, false_positives: int
) -> None:
    wanted = {row.number for row in grade.read_rows(data / name, sure=sure)}
    figures = grade.summary([result for result in graded(name) if result.row.number in wanted])
    assert figures["total"] == len(wanted)
    assert figures["right"] >= share * figures["total"]
    assert figures["false_positives"] <= false_positives


@pytest.mark.long
def test_a_busy_machine_gives_the_same_verdicts(graded: Graded) -> None:
    """Eight graders on two cores decide as two do."""
    quiet = graded("grader_pairs.jsonl")[:: longer(4, 1)]
    busy = grade.grade_rows([result.row for result in quiet], jobs=8)
    assert [result.verdict for result in busy] == [result.verdict for result in quiet]


def test_few_labels_are_adjudicated(data: Path) -> None:
    adjudicated = grade.adjudications()
    labels = {}
    for line in (data / "generations.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        labels[row["gen_id"]] = row["label"]
    assert len(adjudicated) <= 0.01 * len(labels)
    assert all(labels[gen_id] != label for gen_id, label in adjudicated.items())
