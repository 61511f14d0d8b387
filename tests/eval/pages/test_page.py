"""The HTML report: whole in one file, harmless text, and readable at two widths in a browser."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from eval.pages import html
from eval.samples import EvalSample, RunFolder
from its.answers.algebra.workers import Workers
from tests.conftest import process, require_or_skip
from tests.eval.harness import its_eval

NAMES = ("gsm8k-vote3-of-three-members", "gsm8k-none")
SETTINGS = {"task": "gsm8k", "problems": 20, "samples": 4, "temperature": 0.7, "seed": 0}
HOSTILE = '<script>document.title = "taken"</script> $\\frac{1}{2}$ & "quoted"'


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    rng = Random(0)
    made = []
    for name in NAMES:
        folder = RunFolder(tmp_path / name)
        about = {"command": f"its-eval run gsm8k --model {name}", "commit": "0123456789ab"}
        folder.start({**SETTINGS, "model": name}, about, fresh=True)
        for problem in range(20):
            for index in range(4):
                right = rng.random() < 0.3 + 0.03 * problem
                answer = "7" if right else str(rng.randrange(8, 11))
                known = {"strategy": "random", "persona": f"You keep bees. {HOSTILE}"}
                folder.append(
                    EvalSample(
                        f"p{problem}", index, 0, "7", f"What is 3 + 4? {HOSTILE}",
                        text=f"It is \\boxed{{{answer}}}.", answer=answer, correct=right,
                        finish_reason="stop", tokens=rng.randrange(50, 900), thinking_tokens=20,
                        seconds=2.0, input_time=known,
                    )
                )  # fmt: skip
        made.append(folder.path)
    return made


@pytest.fixture
def page(runs: list[Path], tmp_path: Path) -> Path:
    out = tmp_path / "report.html"
    ended = its_eval("report", *runs, "--html", out, "--title", "Two <runs>")
    assert ended.returncode == 0, ended.stderr
    return out


def test_the_table_fits_a_terminal(runs: list[Path]) -> None:
    shown = process("eval", "report", *runs, env={"PATH": "", "COLUMNS": "80"}).stdout
    assert "gsm8k" in shown
    assert "pass@4" in shown
    assert "maj@4" in shown


def test_the_page_is_whole_and_harmless(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.findall(r'(?:src|href)="(?!#)', text), "it needs no other file"
    assert not re.findall(r"https?://(?!www\.w3\.org|purl\.org|creativecommons|matplotlib)", text)
    assert "<script>document.title" not in text
    assert "Two &lt;runs&gt;" in text
    assert text.count("<details id=") == 20
    assert text.count("<svg ") == 3
    for part in ("With more samples", "Within a token budget", "Length of answers", "Published"):
        assert part in text
    assert "0123456789ab" in text
    assert "You keep bees" in text


def test_runs_of_one_name_are_told_apart(runs: list[Path]) -> None:
    twin = runs[0].parent / "other" / runs[0].name
    shutil.copytree(runs[0], twin)
    with Workers() as graders:
        page = html.read_page([runs[0], twin, runs[1]], "t", graders)
    assert [row.run for row in page.rows] == [str(runs[0]), str(twin), runs[1].name]


def test_a_matrix_is_drawn(tmp_path: Path, runs: list[Path]) -> None:
    cells = [
        {"train": train, "test": test, "model": "m", "problems": 20,
         "co_designed": (train == "none") == (test == "none"),
         "pass_at_1": {"value": 0.5, "low": 0.4, "high": 0.6}}
        for train in ("none", "similar") for test in ("none", "similar")
    ]  # fmt: skip
    contrast = {"name": "in training only", "both": 0.5, "one": 0.4, "p": 0.03,
                "difference": {"value": 0.1, "low": 0.02, "high": 0.2}}  # fmt: skip
    folder = tmp_path / "cells"
    folder.mkdir()
    runs[0].rename(folder / "none-none")
    (folder / "matrix.json").write_text(json.dumps({"cells": cells, "contrasts": [contrast]}))
    out = tmp_path / "matrix.html"
    ended = its_eval("report", folder, "--html", out)
    assert ended.returncode == 0, ended.stderr
    text = out.read_text("utf-8")
    assert "trained with" in text
    assert "in training only" in text
    assert text.count("<svg ") == 4


MEASURE = (Path(__file__).with_name("measure.js")).read_text("utf-8")


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overlaps_in_a_browser(page: Path, tmp_path: Path, width: int) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        require_or_skip("no chromium: apt-get install chromium")
    measured = tmp_path / "measured.html"
    measured.write_text(
        page.read_text("utf-8").replace("</body>", f"<script>{MEASURE}</script></body>"), "utf-8"
    )
    ended = subprocess.run(
        [
            str(browser), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            f"--window-size={width},2400", f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=3000", measured.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    shown = re.search(r'<pre id="found">(.*?)</pre>', ended.stdout, re.DOTALL)
    assert shown, ended.stderr[-1000:]
    found: dict[str, Any] = json.loads(
        shown[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    )
    assert found["wide"] <= 0, "the page is not wider than the screen"
    assert len(found["plots"]) == 3
    for plot in found["plots"]:
        assert plot["over"] == [], plot["label"]
        assert plot["out"] == [], plot["label"]
    curves = found["plots"][0]["texts"]
    assert {"samples k", "share solved", "With more samples"} <= set(curves)
    assert sum("maj@k" in text for text in curves) == 2, "every line has its name in the legend"
