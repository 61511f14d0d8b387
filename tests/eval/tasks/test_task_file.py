"""A task file describes any other problems; a scorer of one's own is found by its entry point."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.errors import EvalError
from eval.tasks.task_file import read_task_file
from tests.conftest import ROOT
from tests.eval.harness import its_eval, rows, run_args
from tests.scripted import Engine, says

FILE = """
name = "capitals"
data = "rows.csv"
instruction = "One word."
answers = "label"
samples = 2
rows = 2
[columns]
problem = "land"
answer = "city"
id = "nr"
"""
CSV = "nr,land,city,also\n7,Peru,Lima,\n9,Bolivia,Sucre,La Paz\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(CSV)
    (tmp_path / "t.toml").write_text(FILE)
    return tmp_path


@pytest.fixture
def own_scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a distribution with the scorer that docs/eval.md shows, and one that fails."""
    page = (ROOT / "docs" / "eval.md").read_text("utf-8")
    example = (
        page.partition("### Your own scorer")[2].partition("```python\n")[2].partition("```")[0]
    )
    assert 3 < len(example.splitlines()) <= 15, "the page shows a short one"
    place = tmp_path / "site"
    about = place / "its_capitals-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: its-capitals\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[input_time_scaling.scorers]\n"
        "any-city = its_capitals:score\nbroken = its_capitals:broken\n"
    )
    broken = "\ndef broken(attempt):\n    return 1 / 0\n"
    (place / "its_capitals.py").write_text(example + broken)
    monkeypatch.syspath_prepend(str(place))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("its_capitals", None)


def test_a_task_file_is_read(folder: Path) -> None:
    task = read_task_file(folder / "t.toml")
    assert (task.name, task.instruction, task.answers) == ("capitals", "One word.", "label")
    assert task.samples == 2
    assert [(each.id, each.problem, each.answer) for each in task.problems] == [
        ("7", "Peru", "Lima"),
        ("9", "Bolivia", "Sucre"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("data = ", "not TOML"),
        ("", "`data` is missing"),
        ("data = 'none.csv'", "cannot read .*none.csv"),
        ("data = 'rows.csv'\nscorr = 'x'", "Unknown key 'scorr'. Did you mean 'scorer'"),
        ("data = 'rows.csv'\nsamples = 'x'", "samples must be a whole number"),
        ("data = 'rows.csv'\nsamples = 0", "samples must be at least 1"),
        ("data = 'rows.csv'\nanswers = 'maths'", "Unknown kind of answers 'maths'"),
        ("data = 'rows.csv'\nname = '../x'", "names a folder"),
        ("data = 'rows.csv'\n[columns]\nproblem = 'q'\nanswer = 'city'", "no column 'q'; .*'land'"),
        ("data = 'rows.csv'\n[columns]\nquestion = 'land'", "Unknown key 'question'"),
        ("data = 'rows.csv'\nrows = 3\n[columns]\nproblem = 'land'\nanswer = 'city'", "has 2"),
    ],
)
def test_a_wrong_task_file_is_one_line(folder: Path, text: str, told: str) -> None:
    (folder / "t.toml").write_text(text)
    with pytest.raises(EvalError, match=told):
        read_task_file(folder / "t.toml")


def test_a_scorer_that_is_not_installed_is_said_before_anything_is_asked(
    folder: Path, engine: Engine, engine_url: str
) -> None:
    (folder / "t.toml").write_text("scorer = 'any-town'\n" + FILE)
    _, *options = run_args(folder, engine_url)
    ended = its_eval("run", folder / "t.toml", *options)
    assert ended.returncode == 2
    assert "Unknown scorer 'any-town'" in ended.stderr
    assert not engine.received


@pytest.mark.usefixtures("own_scorer")
def test_a_scorer_of_ones_own_decides(folder: Path, engine: Engine, engine_url: str) -> None:
    (folder / "t.toml").write_text("scorer = 'any-city'\n" + FILE)
    engine.scripts["m"] = says(r"It is \boxed{La Paz}")
    _, *options = run_args(folder, engine_url)
    ended = its_eval("run", folder / "t.toml", *options)
    assert ended.returncode == 0, ended.stderr
    verdicts = {str(row["id"]): row["correct"] for row in rows(folder / "out")}
    assert verdicts == {"7": False, "9": True}, "`also` of the row counts too"


@pytest.mark.usefixtures("own_scorer")
def test_a_scorer_that_fails_loses_no_answer(folder: Path, engine: Engine, engine_url: str) -> None:
    (folder / "t.toml").write_text("scorer = 'broken'\n" + FILE)
    engine.scripts["m"] = says(r"\boxed{Lima}")
    _, *options = run_args(folder, engine_url)
    ended = its_eval("run", folder / "t.toml", *options)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("the scorer 'broken' failed on problem") == 1
    assert [row["correct"] for row in rows(folder / "out")] == [False] * len(rows(folder / "out"))
    assert all(row["text"] for row in rows(folder / "out"))
