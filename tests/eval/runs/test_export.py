"""`its-eval export`: one long table that pandas reads, with documented columns."""

import json
import re
from pathlib import Path

import pytest

from eval.runs.export import COLUMNS, TEXTS
from eval.samples import EvalSample, RunFolder
from tests.conftest import ROOT
from tests.eval.harness import its_eval

BALLOTS = [
    {"member": "a", "strategy": "similar", "outcome": "voted", "answer": "7", "content": "It's 7",
     "persona": "You bake.", "domain": "food", "source": "bank", "seconds": 1.5,
     "finish_reason": "stop", "usage": {"completion_tokens": 4, "prompt_tokens": 9}},
    {"member": "b", "strategy": "none", "outcome": "abstained", "answer": None, "content": "Hm.",
     "seconds": 0.5, "finish_reason": "length", "usage": {"completion_tokens": 3}},
    {"member": "c", "outcome": "failed", "error": "timeout", "seconds": 9.0},
]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "panel")
    settings = {"task": "t", "model": "vote3", "problems": 2, "samples": 1}
    folder.start(settings, {}, fresh=True)
    told = {"winner": "a", "strategy": "similar", "ballots": BALLOTS}
    text = 'so "7",\n\u2028half \ud83d'
    folder.append(
        EvalSample("p, 1", 0, 5, "7", "q?", text=text, answer="7", correct=True, tokens=7,
                   input_time=told)
    )  # fmt: skip
    folder.append(EvalSample("p2", 0, 6, "7", "q?", error="cut"))
    return folder.path


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_pandas_reads_every_row_as_it_is(run: Path, tmp_path: Path, ending: str) -> None:
    pandas = pytest.importorskip("pandas")
    out = tmp_path / f"all.{ending}"
    ended = its_eval("export", run, run, "--out", out, "--json")
    assert json.loads(ended.stdout) == {"out": str(out), "rows": 10, "runs": 2}
    read = {"csv": pandas.read_csv, "parquet": pandas.read_parquet,
            "jsonl": lambda file: pandas.read_json(file, lines=True)}  # fmt: skip
    table = read[ending](out)
    assert list(table.columns) == list(COLUMNS)
    one = table[:5]
    assert list(one["row"]) == ["sample", "ballot", "ballot", "ballot", "sample"]
    assert list(one["correct"]) == [True, True, False, False, False]
    assert list(one["outcome"]) == ["voted", "voted", "abstained", "failed", "failed"]
    assert list(one["member"])[:4] == ["a", "a", "b", "c"]
    assert one["text"][0] == 'so "7",\n\u2028half \\ud83d'
    assert one["persona"][1] == "You bake."
    assert (one["tokens"][1], one["prompt_tokens"][1], one["seconds"][1]) == (4, 9, 1.5)
    assert pandas.isna(one["tokens"][4]), "unknown is not 0"
    assert table.groupby("row")["correct"].mean()["sample"] == 0.5


def test_texts_can_be_left_out(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.csv"
    assert its_eval("export", run, "--out", out, "--no-texts").returncode == 0
    assert not set(TEXTS) & set(out.read_text().splitlines()[0].split(","))


def test_wrong_places_are_said_before_anything_is_written(run: Path, tmp_path: Path) -> None:
    ended = its_eval("export", run, "--out", tmp_path / "all.xlsx")
    assert (ended.returncode, "name it .csv, .jsonl or .parquet" in ended.stderr) == (2, True)
    ended = its_eval("export", run, tmp_path / "none", "--out", tmp_path / "all.csv")
    assert ended.returncode == 2
    assert not (tmp_path / "all.csv").exists()


def test_the_page_says_what_each_column_holds() -> None:
    page = (ROOT / "docs" / "eval.md").read_text("utf-8").partition("### Export")[2]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page.partition("\n## ")[0], re.MULTILINE))
    assert told == {name: meaning for name, (_, meaning) in COLUMNS.items()}
