"""Problems from files, from public sets and from our generator."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import EvalError
from eval.tasks import arith
from eval.tasks.columns import columns
from eval.tasks.files import read_problems
from eval.tasks.hub import HUB_SETS, HubSet, gpqa, gsm8k, olympiad
from eval.tasks.load import Task, load, write_file
from eval.tasks.problem import Problem
from its.answers import parse
from tests.eval.harness import its_eval, problems

ROW = columns("problem", "answer", "id")


BAD_ROWS = [
    ("{", ":1: not JSON"),
    ("7", ":1: not JSON"),
    ('{"id": 1, "problem": "x"}', ":1: no column for the answer"),
    ('{"id": 1, "problem": " ", "answer": 2}', ":1: 'problem' is missing or empty"),
    ('{"id": 1, "problem": "x", "answer": 2}\n{"id": 1, "problem": "y", "answer": 2}', "twice"),
    ("[]", "no problems"),
]


def test_a_task_with_odd_ends_of_lines_is_read_as_it_was_written(tmp_path: Path) -> None:
    task = Task("t", (Problem("1", "One\u2028two\x85three", "7"),))
    write_file(task, tmp_path / "t.jsonl")
    assert read_problems(tmp_path / "t.jsonl") == list(task.problems)


@pytest.mark.parametrize(("text", "reason"), BAD_ROWS)
def test_a_bad_file_names_its_line(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(text)
    with pytest.raises(EvalError, match=reason) as error:
        read_problems(file)
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
    with pytest.raises(EvalError, match="3 rows where 30 were expected"):
        load("aime24", data=None, seed=0)
    monkeypatch.setitem(HUB_SETS, "aime24", HubSet(str(tmp_path / "no"), "train", 30, ROW))
    with pytest.raises(EvalError, match="--data FILE"):
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


def test_public_rows_are_read() -> None:
    found = gsm8k({"question": "Q?", "answer": "1+1=<<1+1=2>>2\n#### 1,002"}, 7)
    assert (found.id, found.answer) == ("gsm8k-test-7", "1,002")
    found = olympiad({"id": 3, "question": "Q?", "final_answer": ["1", "2"]}, 0)
    assert (found.id, found.answer) == ("3", "1, 2")
    row = {
        "Question": "Q?",
        "Correct Answer": "yes",
        **{f"Incorrect Answer {i}": f"no{i}" for i in (1, 2, 3)},
    }
    found = gpqa(row, 0)
    assert f"{found.answer}) yes" in found.problem
    assert gpqa(row, 0) == found, "the same order for everybody"
    with pytest.raises(ValueError, match="'answer' is missing"):
        gsm8k({"question": "Q?"}, 0)


def test_a_task_is_written_for_decontamination(tmp_path: Path) -> None:
    out = tmp_path / "arith.jsonl"
    ended = its_eval("task", "arith", "--out", out)
    assert ended.returncode == 0, ended.stderr
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(written) == 200
    assert set(written[0]) == {"id", "problem", "answer"}
    assert "SHA-256" in ended.stderr
    assert its_eval("task", "nothing", "--out", out).returncode == 2
