"""Frontier and search: which method, for how much."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.replaying.candidates import known, of_panels
from eval.replaying.frontier import Frontier, FrontierRow, frontier
from eval.replaying.plan import plan
from eval.replaying.search import Budget, block, search
from eval.replaying.stored import StoredProblem, read_stored
from its.answers.algebra.workers import Workers
from its.methods.options import parse
from its.methods.table import find
from proxy.config.load import load
from tests.conftest import PLAIN
from tests.eval.harness import its_eval
from tests.eval.replaying.stores import outputs, run

EASY = [["7"] * 6] * 30
"""Problems on which all samples are right: two calls are as good as six."""

HARD = [["7", "7", "7", "7", "3", "8"]] * 10


@pytest.fixture
def graders() -> Iterator[Workers]:
    with Workers() as workers:
        yield workers


def compared(problems: list[StoredProblem]) -> Frontier:
    return frontier(problems, number=20, seed=0, fewest=3)


def test_the_cheapest_within_noise_is_marked(tmp_path: Path, graders: Workers) -> None:
    found = compared(read_stored([run(tmp_path / "run", EASY + HARD)], graders))
    plans = [(row.replayed.plan.name, row.replayed.plan.samples) for row in found.rows]
    assert plans.count(("majority", 1)) == 1
    assert ("majority", 6) in plans
    assert ("first_finish", 4) in plans
    assert ("adaptive", 6) in plans
    assert found.best.replayed.accuracy.value == 1
    (cheapest,) = [row for row in found.rows if "calls" in row.cheapest]
    assert cheapest.within_noise
    assert cheapest.replayed.calls == min(
        row.replayed.calls for row in found.rows if row.within_noise
    )
    one = next(row for row in found.rows if row.replayed.plan.samples == 1)
    assert not one.within_noise, "a third of ten problems in forty is more than noise"
    assert one.difference.high < 0
    assert "calls" in one.leads, "nothing is as cheap"
    dominated = next(r for r in found.rows if plan_of(r) == ("majority", 2, {}))
    assert "calls" not in dominated.leads


def plan_of(row: FrontierRow) -> tuple[str, int | None, dict[str, Any]]:
    at = row.replayed.plan
    return at.name, at.samples, dict(at.raw)


def test_what_abstains_is_shown_and_not_compared(tmp_path: Path, graders: Workers) -> None:
    found = compared(read_stored([run(tmp_path / "run", EASY + HARD)], graders))
    abstaining = [row for row in found.rows if row.replayed.coverage < 1]
    assert abstaining
    assert not any(row.within_noise or row.cheapest or row.leads for row in abstaining)
    strict = next(row for row in found.rows if row.replayed.plan.raw.get("threshold") == 0.75)
    assert strict.replayed.coverage == 0.75
    assert strict.replayed.precision is not None
    assert strict.replayed.precision.value == 1


def test_methods_are_tried_where_the_samples_allow_them(tmp_path: Path, graders: Workers) -> None:
    plain = read_stored([run(tmp_path / "plain", HARD)], graders)
    assert not {"weighted", "temperatures", "escalate"} & names(plain)
    lp = {"mean": -0.1, "tail": 1.0, "worst": 1.0}
    rich = [run(tmp_path / "rich", HARD, temperature=0.2, logprobs=lp),
            run(tmp_path / "warm", HARD, temperature=1.0, logprobs=lp)]  # fmt: skip
    assert {"weighted", "temperatures"} <= names(read_stored(rich, graders))
    two = [run(tmp_path / "a", HARD, model="a"), run(tmp_path / "b", HARD, model="b")]
    assert "escalate" in names(read_stored(two, graders))
    mixed = outputs(tmp_path / "o.jsonl", {"p": dict.fromkeys("abc", "7"),
                                           "q": dict.fromkeys("bcd", "7")})  # fmt: skip
    found = compared(read_stored([mixed], graders))
    assert {row.replayed.plan.members for row in found.rows} == {()}


def names(problems: list[StoredProblem]) -> set[str]:
    return {each.name for each in of_panels(problems, known(problems))}


def test_the_table_fits_and_the_plot_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLAIN, "COLUMNS", "80")
    folder = run(tmp_path / "run", EASY + HARD, tokens=123_456, seconds=12345.6)
    svg, png = tmp_path / "f.svg", tmp_path / "f.png"
    ended = its_eval("frontier", folder, "--orders", 5, "--plot", svg)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in ended.stdout, "no figure is cropped"
    assert "740.7k" in ended.stdout, "the tokens of six calls"
    text = svg.read_text("utf-8")
    assert "calls per question" in text
    assert "simulated seconds per question" in text
    assert its_eval("frontier", folder, "--orders", 2, "--plot", png).returncode == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    ended = its_eval("frontier", folder, "--plot", tmp_path / "f.gif")
    assert ended.returncode == 2
    assert "ends in .svg or .png" in ended.stderr


def test_letters_stand_for_long_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLAIN, "COLUMNS", "80")
    names = [f"an-organisation/a-long-name-{n}" for n in range(3)]
    places = [run(tmp_path / str(n), HARD, model=name) for n, name in enumerate(names)]
    ended = its_eval("frontier", *places, "--orders", 2)
    shown = " ".join(ended.stdout.split())
    assert max(map(len, ended.stdout.splitlines())) <= 80
    assert "stronger=C" in shown
    assert f"A: {names[0]}, B: {names[1]}, C: {names[2]}" in shown
    short = [run(tmp_path / name, HARD, model=name) for name in ("s", "u")]
    shown = its_eval("search", *short, "--budget", "calls=1", "--orders", 2).stdout
    assert "majority of s" in shown
    assert "A:" not in shown


def test_options_that_change_nothing_are_one_row(tmp_path: Path, graders: Workers) -> None:
    places = [run(tmp_path / name, [["7"], ["3"]], model=name) for name in "abc"]
    found = compared(read_stored(places, graders))
    adaptive = [row.replayed.plan for row in found.rows if row.replayed.plan.name == "adaptive"]
    assert [each.raw["confidence"] for each in adaptive] == [0.85] * 3
    assert [each.members for each in adaptive] == [tuple(m) for m in ("abc", "bac", "cab")]


def test_the_frontier_as_json(tmp_path: Path) -> None:
    file = outputs(tmp_path / "o.jsonl", {f"p{n}": dict.fromkeys("abcd", "7") for n in range(4)})
    ended = its_eval("frontier", file, "--member", "b", "--member", "a", "--member", "c",
                     "--orders", 3, "--json")  # fmt: skip
    found = json.loads(ended.stdout)
    assert found["problems"] == 4
    assert sum(row["best"] for row in found["rows"]) == 1
    assert {member for row in found["rows"] for member in row["members"]} == {"a", "b", "c"}
    assert ["b", "a", "c"] in [row["members"] for row in found["rows"]], "ties go to their order"
    stronger = {row["options"].get("stronger") for row in found["rows"]}
    assert {"a", "b", "c"} <= stronger
    ended = its_eval("frontier", file, "--member", "z")
    assert ended.returncode == 2
    assert "no problem has answers of all of z. Stored: a, b, c, d." in ended.stderr


def test_the_search_keeps_the_budget_and_reports_what_it_did_not_see(
    tmp_path: Path, graders: Workers
) -> None:
    good = [["7"] * 4] * 12 + [["3"] * 4] * 4
    weak = [["3"] * 4] * 12 + [["7"] * 4] * 4
    places = [run(tmp_path / "a", good, model="a"), run(tmp_path / "b", weak, model="b")]
    problems = read_stored(places, graders)
    found = search(problems, Budget("calls", 1), number=5, seed=0)
    assert found.chosen.plan.members == ("a",)
    assert found.chosen.calls == 1
    assert found.chosen.accuracy.value == 0.75
    assert found.held_out.low < found.held_out.value < 1
    assert found.held_out_cost == 1
    assert found.within == 1
    tokens = search(problems, Budget("tokens", 25), number=5, seed=0)
    assert tokens.chosen.tokens <= 25


def test_the_best_of_many_looks_better_than_it_is(tmp_path: Path, graders: Workers) -> None:
    """Six models that guess alike: one is the best by chance, and held-out problems show it."""
    from random import Random

    places = []
    for model in "abcdef":
        rng = Random(f"coin-{model}")
        answers = [[rng.choice("73")] for _ in range(40)]
        places.append(run(tmp_path / model, answers, model=model))
    found = search(read_stored(places, graders), Budget("calls", 1), number=1, seed=0)
    assert found.held_out.value < found.chosen.accuracy.value


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--budget", "3"], "write calls=3 or tokens=2000"),
        (["--budget", "calls=none"], "write calls=3"),
        (["--budget", "calls=0.5"], "nothing costs 0.5 calls a question; the cheapest costs 1"),
        (["--budget", "tokens=5"], "the cheapest costs 10"),
    ],
)
def test_bad_budgets(args: list[str], told: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", HARD)
    ended = its_eval("search", folder, *args)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_a_search_needs_members_that_answered_everything(tmp_path: Path) -> None:
    texts: dict[str, dict[str, object]] = {f"p{n}": {"a": "7", "b": "7"} for n in range(5)}
    file = outputs(tmp_path / "o.jsonl", {**texts, "q": {"c": "7"}})
    ended = its_eval("search", file, "--budget", "calls=2")
    assert ended.returncode == 2
    assert "choose members with --member" in ended.stderr
    ended = its_eval("search", file, "--budget", "calls=2", "--member", "a", "--member", "b")
    assert ended.returncode == 0, ended.stderr


CONFIG = """
[engines.e]
base_url = "http://127.0.0.1:1/v1"
[members.a]
engine = "e"
model = "a"
strategy = "none"
[members."b 2 (x)"]
engine = "e"
model = "b"
strategy = "none"
"""


def test_the_printed_panel_loads_in_the_proxy(tmp_path: Path) -> None:
    names = ("a", "b 2 (x)")
    places = [run(tmp_path / f"r{n}", EASY, model=name) for n, name in enumerate(names)]
    ended = its_eval("search", *places, "--budget", "calls=1", "--orders", 2, "--name", "one")
    assert ended.returncode == 0, ended.stderr
    text = ended.stdout[ended.stdout.index("[panels.one]") :]
    file = tmp_path / "panels.toml"
    file.write_text(CONFIG + text, "utf-8")
    panel = load(file).panels["one"]
    assert panel.method == "majority"
    assert panel.members in {(name,) for name in names}
    asked = its_eval("search", *places, "--budget", "calls=1", "--orders", 2, "--json")
    assert "[panels.found]" in json.loads(asked.stdout)["toml"]


@pytest.mark.parametrize(
    ("name", "raw", "members", "samples"),
    [
        ("majority", {}, ("a", "b 2 (x)"), 8),
        ("adaptive", {"confidence": 0.85}, ("a",), 8),
        ("escalate", {"stronger": "b 2 (x)", "escalate_below": 0.75}, ("a",), 2),
        ("weighted", {"measure": "tail", "share": 0.5}, ("a",), 100),
        ("temperatures", {"temperatures": [0.2, 1.0]}, ("a", "b 2 (x)"), 100),
    ],
)
def test_a_block_says_all_of_a_plan(
    name: str, raw: dict[str, Any], members: tuple[str, ...], samples: int, tmp_path: Path
) -> None:
    text = block(plan(name, raw, members, samples), "the panel")
    table = tomllib.loads(text)["panels"]["the panel"]
    assert table["members"] == list(members)
    assert (table["method"], table["samples"]) == (name, samples)
    options = table.pop("options", {})
    assert parse(find(name), options) == parse(find(name), raw)
    assert samples <= table.get("max_samples", 64)
    assert samples * len(members) <= table.get("max_calls", 192)
    assert set(table) <= {"members", "samples", "max_samples", "max_calls", "method"}
    file = tmp_path / "panels.toml"
    file.write_text(CONFIG + text, "utf-8")
    panel = load(file).panels["the panel"]
    assert (panel.members, panel.method, panel.samples) == (members, name, samples)
