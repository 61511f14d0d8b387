"""Two runs problem by problem, and what stands beside the difference."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PLAIN
from tests.eval.harness import its_eval

Row = dict[str, Any]


def write_run(
    folder: Path, rows: Sequence[Row], *, problems: int, samples: int = 1, model: str = "m",
    base_url: str = "http://a/v1", commit: str | None = "abc", **more: Any,
) -> Path:  # fmt: skip
    folder.mkdir(parents=True)
    settings = {"task": "t", "problems": problems, "samples": samples, "model": model, **more}
    about = {"settings": settings, "base_url": base_url, "commit": commit}
    (folder / "run.json").write_text(json.dumps(about))
    lines = [json.dumps({"seed": 0, "gold": "1", "prompt": f"q {row['id']}", "sample": 0, **row})
             for row in rows]  # fmt: skip
    (folder / "samples.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def right(key: int, *, correct: bool = True, **more: Any) -> Row:
    return {"id": f"p{key}", "answer": "1" if correct else "2", "correct": correct,
            "finish_reason": "stop", "tokens": 16384, **more}  # fmt: skip


def compared(*places: Path) -> Row:
    ended = its_eval("compare", *places, "--json")
    assert ended.returncode == 0, ended.stderr
    found: Row = json.loads(ended.stdout)
    return found


def test_failed_missing_and_cut_calls_stand_beside_the_difference(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", [right(n) for n in range(40)], problems=40)
    failed = [{"id": f"p{n}", "error": "HTTP 400"} for n in range(5)]
    cut = [right(n, correct=False, finish_reason="length", answer=None) for n in range(5, 8)]
    b = write_run(tmp_path / "b", [*failed, *cut, *(right(n) for n in range(8, 32))], problems=40)
    found = compared(a, b)
    assert (found["problems"], found["lost"]) == (32, 8)
    first, second = found["sides"]
    assert (first["failed"], first["missing"], first["left_out"]) == (0, 0, 8)
    assert (second["failed"], second["missing"], second["cut"]) == (5, 8, 3)
    shown = " ".join(its_eval("compare", a, b).stdout.split())
    for told in (
        "5 of 32 calls failed and count as wrong", "8 of 40 calls are missing: the run is partial",
        "3 answers were cut", "8 problems have no pair",
    ):  # fmt: skip
        assert told in shown


def test_settings_that_differ_stand_beside_the_difference(tmp_path: Path) -> None:
    rows = [right(n) for n in range(3)]
    a = write_run(tmp_path / "a", rows, problems=3, temperature=0.0, task_sha256="1", model="x")
    b = write_run(tmp_path / "b", rows, problems=3, temperature=0.6, task_sha256="2", model="y",
                  base_url="http://b/v1", instruction="Box it.", commit="abc+")  # fmt: skip
    found = compared(a, b)
    assert found["settings"] == {
        "temperature": [0.0, 0.6], "task_sha256": ["1", "2"], "instruction": [None, "Box it."],
        "server": ["http://a/v1", "http://b/v1"], "commit": ["abc", "abc+"],
    }  # fmt: skip
    shown = " ".join(its_eval("compare", a, b).stdout.split())
    assert "temperature differs: 0.0 and 0.6" in shown
    same = write_run(tmp_path / "c", rows, problems=3, temperature=0.0, task_sha256="1", model="z")
    assert compared(a, same)["settings"] == {}


def test_gained_and_lost_are_unbiased(tmp_path: Path) -> None:
    """By "solved more than half", two of four right is lost and one of one right is won."""
    rows = [right(n, sample=s, correct=s < 2) for n in range(10) for s in range(4)]
    half = write_run(tmp_path / "half", rows, problems=10, samples=4)
    other = write_run(tmp_path / "other", rows, problems=10, samples=4)
    found = compared(half, other)
    assert (found["gained"], found["lost"]) == (2.5, 2.5)
    one = write_run(tmp_path / "one", [right(n, correct=n < 5) for n in range(10)], problems=10)
    found = compared(half, one)
    assert (found["gained"], found["lost"]) == (2.5, 2.5)
    assert found["gained"] - found["lost"] == 10 * found["difference"]["value"]


def test_problems_are_compared_one_by_one(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", [right(n) for n in range(30)], problems=30)
    b = write_run(tmp_path / "b", [right(n, correct=n % 5 > 0) for n in range(30)], problems=30)
    found = compared(a, b)
    assert [each["id"] for each in found["by_problem"]] == [f"p{n}" for n in range(30)]
    assert found["by_problem"][5] == {
        "id": "p5", "first": 1.0, "second": 0.0, "gold": "1", "first_answer": "1",
        "second_answer": "2",
    }  # fmt: skip
    shown = its_eval("compare", a, b).stdout
    assert "6 of 30 problems differ" in shown
    assert "p6 " not in shown
    assert "p6 " in its_eval("compare", a, b, "--problems").stdout
    rows = list(csv.reader(io.StringIO(its_eval("compare", a, b, "--csv").stdout)))
    assert rows[0][:5] == ["first run", "second run", "problems", "first", "then"]
    assert len(rows) == 2
    assert float(rows[1][rows[0].index("p")]) == pytest.approx(found["p"])


@pytest.mark.parametrize("width", ["40", "60", "80", "100", "200"])
def test_figures_of_both_commands_are_whole(
    width: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLAIN, "COLUMNS", width)
    name = "an-organisation/a-model-with-a-long-name[v2]"
    a = write_run(tmp_path / "first-run", [right(n) for n in range(60)], problems=60, model=name)
    rows = [right(n, correct=n >= 20) for n in range(60)]
    b = write_run(tmp_path / "second-run", rows, problems=60, model=name)
    found = compared(a, b)
    ended = its_eval("compare", a, b)
    assert ended.returncode == 0, ended.stderr
    assert max(map(len, ended.stdout.splitlines())) <= int(width)
    for figure in (f"{found['p']:.3g}", "-33.3%", "-22.7%", "-45.9%", "0/20"):
        assert figure in ended.stdout.split(), figure
    ended = its_eval("report", a, b)
    assert max(map(len, ended.stdout.splitlines())) <= int(width)
    assert ended.stdout.split().count("16384") == 2
    assert "66.7%" in ended.stdout.split()
    joined = "".join(ended.stdout.split())
    assert "second-run" in joined
    assert "[v2]" in joined


def test_a_report_separates_tasks_and_names_runs(tmp_path: Path) -> None:
    rows = [right(n) for n in range(4)]
    write_run(tmp_path / "one" / "r", rows, problems=4)
    write_run(tmp_path / "two" / "r", rows[:3], problems=4, commit="abc+")
    other = write_run(tmp_path / "other", rows, problems=4)
    text = (other / "run.json").read_text().replace('"task": "t"', '"task": "gsm8k"')
    (other / "run.json").write_text(text)
    places = [tmp_path / "one" / "r", tmp_path / "two" / "r", other]
    ended = its_eval("report", *places, "--json")
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [each["task"] for each in found] == ["t", "t", "gsm8k"]
    assert [each["run"] for each in found] == [str(places[0]), str(places[1]), "other"]
    assert [each["missing"] for each in found] == [0, 1, 0]
    shown = its_eval("report", *places).stdout
    lines = shown.splitlines()
    assert lines.index("t") < lines.index("gsm8k")
    assert "made with uncommitted changes (abc+)" in " ".join(shown.split())
    assert "| run | model |" in its_eval("report", *places, "--markdown").stdout


def test_k_is_every_power_of_two_up_to_the_samples(tmp_path: Path) -> None:
    rows = [right(n, sample=s, correct=s % 3 == 0) for n in range(4) for s in range(12)]
    run = write_run(tmp_path / "r", rows, problems=4, samples=12)
    heads = its_eval("report", run, "--csv").stdout.splitlines()[0].split(",")
    assert [head for head in heads if head.startswith(("pass@", "maj@"))] == [
        "pass@1", *(f"{kind}@{k}" for k in (2, 4, 8, 12) for kind in ("pass", "maj")),
    ]  # fmt: skip


def test_unknown_usage_is_shown_as_unknown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "r", [right(n, tokens=None) for n in range(3)], problems=3)
    shown = " ".join(its_eval("report", run).stdout.split())
    assert "unknown" in shown
    assert "reported no usage for 3 answers" in shown
    assert json.loads(its_eval("report", run, "--json").stdout)["tokens"]["mean"] is None
