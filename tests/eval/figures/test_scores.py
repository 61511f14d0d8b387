"""A panel's members by its ballots, and two runs problem by problem."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import MEMBERS, ROOT, Proxy
from tests.eval.harness import ENV, its_eval, its_eval_run, problems, run_args
from tests.scripted import Engine, says, says_after, speaks


def test_two_runs_are_compared_pair_by_pair(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = says(r"\boxed{9}")
    its_eval_run(*run_args(tmp_path, engine_url, out="a"))
    engine.scripts["m"] = says(r"\boxed{3}")
    its_eval_run(*run_args(tmp_path, engine_url, out="b"))
    ended = its_eval("compare", tmp_path / "a", tmp_path / "b", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["problems"], found["gained"], found["lost"], found["p"]) == (3, 1, 0, 1.0)
    assert found["difference"]["value"] == pytest.approx(1 / 3)
    assert its_eval("compare", tmp_path / "a", tmp_path / "b").returncode == 0
    wrong = its_eval("compare", tmp_path / "a", tmp_path / "none")
    assert wrong.returncode == 2


def test_a_panel_is_compared_with_its_members(
    engine: Engine, proxy: httpx.Client, tmp_path: Path
) -> None:
    engine.scripts.update({"s": says(r"\boxed{1}"), "u": says(r"\boxed{1}"), "r": says("none")})
    url = str(proxy.base_url).rstrip("/")
    ended = its_eval_run(*run_args(tmp_path, url, "vote3"))
    assert ended.returncode == 0, ended.stderr
    ended = its_eval("compare", tmp_path / "out", "--json")
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [each["one"] for each in found] == ["s", "u", "r"]
    assert found[2]["gained"] == 1


def test_a_panels_members_are_shown_from_its_ballots(
    engine: Engine, proxy: httpx.Client, tmp_path: Path
) -> None:
    engine.scripts.update({"s": says(r"\boxed{1}"), "u": says(r"\boxed{3}"), "r": says("none")})
    out = tmp_path / "out"
    ended = its_eval_run(
        problems(tmp_path), "--base-url", f"{proxy.base_url}/v1", "--model", "vote3", "--out", out
    )
    assert ended.returncode == 0, ended.stderr
    table = [re.split(r"\s{2,}", line.strip()) for line in ended.stdout.splitlines()]
    shown = [row[:3] for row in table if row[0] in {"s", "u", "r", "vote3"}]
    assert shown == [
        ["s", "similar", "1/6"],
        ["u", "unsimilar", "1/6"],
        ["r", "random", "0/6"],
        ["vote3", "vote of 3", "1/6"],
    ]
    report = subprocess.run(
        [sys.executable, "-m", "eval", "report", str(out)],
        capture_output=True,
        text=True,
        env=ENV,
        cwd=ROOT,
    )
    assert "vote of 3" in report.stdout


def test_members_of_a_panel_that_stopped_early_have_no_figures_of_their_own(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    """Calls that are cancelled are those of hard problems or slow members: no draw by chance."""
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = true"))
    engine.scripts.update({name: speaks(r"\boxed{3}") for name in "su"})
    engine.scripts["r"] = says_after(5, r"\boxed{3}")
    out, url = tmp_path / "out", f"{proxy.base_url}/v1"
    ended = its_eval_run(problems(tmp_path), "--base-url", url, "--model", "vote3", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "vote of 3, early" in ended.stdout
    table = ended.stdout.partition("contexts of")[0]
    assert "similar" not in table
    assert "early: the panel stopped as soon as it was settled" in ended.stdout
    (row,) = json.loads((out / "summary.json").read_text())["models"]
    assert (row["name"], row["pass_at_1"]["value"]) == ("vote3", pytest.approx(1 / 6))
    page = tmp_path / "page.html"
    assert its_eval("report", out, "--html", page).returncode == 0
    assert "members&#39; own figures would mislead" in page.read_text()
    ended = its_eval("compare", out)
    assert ended.returncode == 2
    assert "or it stopped early" in ended.stderr
