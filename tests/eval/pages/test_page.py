"""The HTML report as a file: whole in one file, harmless, written in little memory, and true."""

import base64
import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.figures.scores import run_rows
from eval.pages import html
from eval.pages.problems import ProblemStore
from eval.pages.read_report import Report, read_report
from its.answers.algebra.workers import Workers
from tests.conftest import ROOT
from tests.eval.harness import its_eval
from tests.eval.planted import HOSTILE, PERSONA, R, W, planted, sample, start


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return planted(tmp_path)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("runs")
    out = folder / "report.html"
    ended = its_eval("report", *planted(folder), "--html", out, "--title", "Three <runs>")
    assert ended.returncode == 0, ended.stderr
    return out.read_text("utf-8")


@pytest.fixture
def graders() -> Iterator[Workers]:
    with Workers() as workers:
        yield workers


def reported(folders: list[Path], store: ProblemStore, graders: Workers) -> Report:
    return read_report(run_rows(folders, graders), folders, "t", store, graders)


def test_the_page_is_whole_and_loads_nothing(page: str) -> None:
    shown = page.replace(HOSTILE, "")
    assert not re.findall(r"<[^>]*\s(?:src|srcset|action|data|poster)\s*=", _own(shown))
    assert not re.findall(r'\shref="(?!#)', _own(shown))
    assert not re.findall(r"@import|url\((?!#)", shown)
    assert not re.findall(r"https?://(?!www\.w3\.org)", shown)
    assert "Three &lt;runs&gt;" in page
    assert page.count('<details class="problem"') == 10


def _own(page: str) -> str:
    """Return the page without its scripts."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_policy_allows_the_page_s_own_scripts_and_nothing_else(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = dict(each.strip().split(" ", 1) for each in policy[1].replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    for name in ("script-src", "style-src"):
        assert all(source.startswith("'sha256-") for source in rules[name].split())
    assert " style=" not in _own(page)
    assert not re.search(r"<[a-z][^>]*\son\w+=", _own(page))


def test_a_ballot_has_its_persona_its_thinking_and_its_text(page: str) -> None:
    assert page.count(PERSONA) == sum(len(ballots) for _, ballots in _votes().values())
    for member in "sur":
        assert f"{member} thinks." in page
        assert f"{member} says 7." in page
    assert "apiculture, bank" in page


def _votes() -> dict[str, tuple[str, tuple[str, ...]]]:
    from tests.eval.planted import VOTES

    return dict(VOTES)


def test_every_figure_is_the_one_of_the_report_as_json(runs: list[Path], page: str) -> None:
    rows = re.findall(r'<tr id="column-(\w+)".*?</tr>', page, re.DOTALL)
    told = {key: row for key, row in zip(rows, page.split('<tr id="column-')[1:], strict=True)}
    lines = its_eval("report", *runs, "--json").stdout.splitlines()
    expected = [json.loads(line) for line in lines]
    assert len(told) == len(expected) == 6
    for row, figures in zip(told.values(), expected, strict=True):
        shown = dict(re.findall(r'data-figure="([\w.]+)" data-value="([^"]*)"', row))
        assert len(shown) >= 8
        for name, value in shown.items():
            if name.endswith("at_k") and not value:
                continue  # of one sample there is only pass@1
            assert _figure(figures, name) == (None if value in ("", "None") else float(value))


def _figure(figures: dict[str, object], name: str) -> object:
    """Return the figure of that name: an interval's value, the last of a curve."""
    found: object = figures
    for part in name.split("."):
        assert isinstance(found, dict)
        found = found[part]
    if isinstance(found, dict):
        return found["value"]
    return found[-1] if isinstance(found, list) else found


def test_members_have_their_thinking(page: str) -> None:
    row = page.split('<tr id="column-C"')[1].split("</tr>")[0]
    thinking = re.search(r'data-figure="thinking_tokens.mean" data-value="([\d.]+)"', row)
    assert thinking
    assert float(thinking[1]) > 0


def test_the_command_is_shown_as_one_would_type_it(page: str) -> None:
    command = "its-eval run aime24 --model one --system &#39;Think, then answer.&#39;"
    assert f">{command}<" in page


def test_published_figures_stand_under_their_own_task_only(
    tmp_path: Path, runs: list[Path], graders: Workers
) -> None:
    other = start(tmp_path / "gsm", "one", task="gsm8k")
    other.append(sample("fine", 0, R))
    with ProblemStore() as store:
        out = tmp_path / "page.html"
        html.write_report(reported([other.path, runs[0]], store, graders), out)
    text = out.read_text("utf-8")
    gsm8k, _, aime24 = text.partition("<h3>aime24</h3>")
    assert "Published for aime24" in aime24
    assert "76.7%" in aime24
    assert "80.0%" not in aime24.partition('<section id="plots"')[0], "AIME25 is another task"
    assert "Published" not in gsm8k


def test_different_problems_of_one_id_are_not_paired(tmp_path: Path, graders: Workers) -> None:
    one, two = start(tmp_path / "a", "m"), start(tmp_path / "b", "m")
    one.append(sample("p1", 0, R))
    two.append(sample("p1", 0, W, prompt="Quite another problem"))
    one.append(sample("p2", 0, R))
    two.append(sample("p2", 0, R))
    with ProblemStore() as store:
        report = reported([one.path, two.path], store, graders)
        slugs = {problem.slug: len(problem.tallies) for problem in store.problems.values()}
        assert slugs == {"p1": 1, "p2": 2, "p1~2": 1}
        assert len(report.columns) == 2


def test_one_problem_asked_with_and_without_an_instruction_is_one(
    tmp_path: Path, graders: Workers
) -> None:
    one = start(tmp_path / "a", "m", asked={"instruction": "Box it."})
    two = start(tmp_path / "b", "m", asked={"instruction": ""})
    one.append(sample("p1", 0, R, prompt="What is 3 + 4?\n\nBox it."))
    two.append(sample("p1", 0, R, prompt="What is 3 + 4?"))
    with ProblemStore() as store:
        reported([one.path, two.path], store, graders)
        assert [len(problem.tallies) for problem in store.problems.values()] == [2]


def test_runs_of_one_name_are_told_apart(
    runs: list[Path], tmp_path: Path, graders: Workers
) -> None:
    twin = tmp_path / "other" / "one"
    shutil.copytree(runs[0], twin)
    with ProblemStore() as store:
        report = reported([runs[0], twin, runs[1]], store, graders)
    assert [column.run for column in report.columns] == [str(runs[0]), str(twin), "two"]


def test_a_matrix_is_a_table_with_signed_differences(tmp_path: Path, runs: list[Path]) -> None:
    cells = [
        {"train": train, "test": test, "model": "m", "problems": 20,
         "co_designed": (train == "none") == (test == "none"),
         "pass_at_1": {"value": 0.5, "low": 0.4, "high": 0.6}}
        for train in ("none", "similar") for test in ("none", "similar")
    ]  # fmt: skip
    here = {"difference": {"value": 0.1, "low": 0.01, "high": 0.19}, "p": 0.03}
    contrasts = [
        {"name": "in training only", "both": 0.5, "one": 0.4, "p": 0.11, "why": None,
         "difference": {"value": 0.1, "low": 0.02, "high": 0.2}, "problems": here},
        {"name": "in testing only", "both": 0.5, "one": 0.6, "p": None, "why": "one checkpoint",
         "difference": {"value": -0.1, "low": None, "high": None}, "problems": here},
    ]  # fmt: skip
    folder = tmp_path / "cells"
    folder.mkdir()
    runs[0].rename(folder / "none-none")
    (folder / "matrix.json").write_text(json.dumps({"cells": cells, "contrasts": contrasts}))
    out = tmp_path / "matrix.html"
    ended = its_eval("report", folder, "--html", out)
    assert ended.returncode == 0, ended.stderr
    text = out.read_text("utf-8")
    assert text.count(" ◆<") == 2
    signed = ("+10.0%", "-10.0%", "+2.0% to +20.0%", "+1.0% to +19.0%")
    for shown in (*signed, ">0.11<", ">0.03<", ">none<", "one checkpoint", "permutation test"):
        assert shown in text, shown
    assert "McNemar" not in text


def test_long_texts_are_compressed_and_cut_and_the_page_says_so(
    tmp_path: Path, graders: Workers
) -> None:
    run = start(tmp_path / "long", "m", samples=4)
    for problem in range(10):
        for number in range(4):
            run.append(sample(f"p{problem}", number, R, text=f"begin{'x' * 9000}\\boxed{{7}} end"))
    with ProblemStore() as store:
        report = reported([run.path], store, graders)
        out = tmp_path / "page.html"
        html.write_report(report, out, megabytes=0.1)
        assert "up to 2,500 characters" in out.read_text("utf-8")
        (tmp_path / "all.html").unlink(missing_ok=True)
        limits = html.limits_of(store.lengths, 100)
        assert limits == html.PageLimits(packed=False, text=None, formulas=None)
        assert html.limits_of([3_000_000], 100).packed
    body = out.read_text("utf-8")
    assert "begin" in body
    assert "end" in body
    assert "characters are left out here; samples.jsonl has all of them" in body


def test_packed_answers_are_the_unpacked_ones(tmp_path: Path, graders: Workers) -> None:
    run = start(tmp_path / "long", "m")
    for number in range(3):
        run.append(sample(f"p{number}", 0, R, text="long " * 200_000))
    with ProblemStore() as store:
        out = tmp_path / "page.html"
        html.write_report(reported([run.path], store, graders), out)
    text = out.read_text("utf-8")
    packed = re.findall(r'<script type="application/gzip" id="packed-\d+">([^<]*)</script>', text)
    assert len(packed) == 3
    assert len(text) < 500_000
    assert all("long long" in gzip.decompress(base64.b64decode(each)).decode() for each in packed)


MEMORY = """
import resource, sys
from pathlib import Path
from eval.__main__ import app
try:
    app(["report", sys.argv[1], "--html", sys.argv[2]])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    """A run with thirty times the text needs about as much: answers are read one at a time."""
    needed = []
    for name, size in (("short", 2_000), ("long", 60_000)):
        run = start(tmp_path / name, "m", samples=8)
        for problem in range(40):
            for number in range(8):
                run.append(sample(f"p{problem}", number, R, text="so " * (size // 3)))
        ended = subprocess.run(
            [sys.executable, "-c", MEMORY, run.path, tmp_path / f"{name}.html"],
            cwd=ROOT, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        needed.append(int(ended.stderr.split()[-1]))
    short, long = needed
    assert (tmp_path / "long" / "samples.jsonl").stat().st_size > 18e6
    assert long < short + 12, f"{short} and {long} MB"


def test_the_page_says_that_a_commit_was_changed(runs: list[Path], tmp_path: Path) -> None:
    about = runs[0] / "run.json"
    told = json.loads(about.read_text())
    about.write_text(json.dumps({**told, "commit": "0123456789ab+"}))
    assert its_eval("report", runs[0], "--html", tmp_path / "one.html").returncode == 0
    assert "commit 0123456789ab+" in (tmp_path / "one.html").read_text()
