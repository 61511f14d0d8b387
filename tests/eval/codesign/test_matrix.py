"""Train strategy x test strategy: cells that are run once, and what the contrasts say."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.responses import JSONResponse, Response

from eval.codesign.matrix import Cell, CellShares, contrasts, result, within
from eval.figures import permutation
from tests.conftest import Proxy
from tests.eval.harness import its_eval, problems
from tests.scripted import Body, Engine, completion, speaks

MATRIX = """
[engines.e]
base_url = "{engine}/v1"
[members.trained-n]
engine = "e"
model = "n"
strategy = "none"
[members.trained-r]
engine = "e"
model = "r"
strategy = "random"
"""


def solves_with_a_context(body: Body) -> Response:
    """A model that was trained with contexts: it is right only where one stands."""
    text = body["messages"][0]["content"]
    number = re.search(r"What is (\d+) \+ 1", text)
    assert number
    right = not text.startswith("What is")
    return JSONResponse(completion(f"\\boxed{{{int(number[1]) + 1 if right else 99}}}"))


def solves_without(body: Body) -> Response:
    text = body["messages"][0]["content"]
    number = re.search(r"What is (\d+) \+ 1", text)
    assert number
    right = text.startswith("What is") and int(number[1]) % 2
    return JSONResponse(completion(f"\\boxed{{{int(number[1]) + 1 if right else 99}}}"))


def streamed(script: Any) -> Any:
    def answer(body: Body) -> Response:
        text = json.loads(script(body).body)["choices"][0]["message"]["content"]
        return speaks(text)(body)

    return answer


def test_the_matrix_runs_what_is_missing_and_tests_the_claim(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    proxy = start(MATRIX)
    engine.scripts.update({"n": streamed(solves_without), "r": streamed(solves_with_a_context)})
    problems(tmp_path, 8)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'task = "p"\ndata = "problems.jsonl"\nbase_url = "{proxy.base_url}/v1"\nout = "cells"\n'
        'test = ["none", "random"]\n[train]\nnone = "trained-n"\nrandom = "trained-r"\n'
    )
    dry = its_eval("matrix", plan, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "[4/4] trained-r, trained random, asked random" in dry.stderr
    ended = its_eval("matrix", plan)
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "cells" / "matrix.json").read_text())
    shares = {(c["train"], c["test"]): c["pass_at_1"]["value"] for c in found["cells"]}
    order = [("none", "none"), ("none", "random"), ("random", "none"), ("random", "random")]
    assert [shares[pair] for pair in order] == [0.5, 0, 0, 1]
    marked = {(c["train"], c["test"]) for c in found["cells"] if c["co_designed"]}
    assert marked == {("none", "none"), ("random", "random")}
    by_name = {c["name"]: c for c in found["contrasts"]}
    assert by_name["in training only"]["difference"]["value"] == 1
    assert by_name["in training only"]["problems"]["p"] == pytest.approx(2 / 2**8)
    assert by_name["in neither"]["difference"] == {"value": 0.5, "low": None, "high": None}
    assert by_name["interaction"]["difference"]["value"] == pytest.approx(1.5)
    for contrast in found["contrasts"]:
        assert contrast["p"] is None, "one training seed says nothing about training"
        assert "single checkpoint" in contrast["why"]
    shown = " ".join(ended.stdout.split())
    assert "no p over checkpoints: one group has a single checkpoint" in shown
    assert "interaction" in shown
    assert set(found["commits"]) == {f"{m}-{t}" for m in ("trained-n", "trained-r") for t in
                                     ("none", "random")}  # fmt: skip
    kept = json.loads((tmp_path / "cells" / "trained-r-random" / "shares.json").read_text())
    assert kept["shares"].split() == ["1"] * 8
    assert (kept["failed"], kept["cancelled"]) == (0, 0)
    as_json = its_eval("matrix", plan, "--json")
    assert json.loads(as_json.stdout)["contrasts"] == found["contrasts"]
    recorded = (tmp_path / "cells" / "trained-r-random" / "run.json").read_text()
    away = plan.read_text().replace(str(proxy.base_url), "http://127.0.0.1:9")
    plan.write_text(away)
    again = its_eval("matrix", plan)
    assert again.returncode == 0, "what is done is not run again, and needs no server"
    assert (tmp_path / "cells" / "trained-r-random" / "run.json").read_text() == recorded


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("task = 1", "Expected `str`, got `int`"),
        ("a = [", "cannot read"),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=["x"]\n[train]\n',
            "Unknown strategy 'x'",
        ),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\nmore=1\n[train]\n',
            "unknown field `more`",
        ),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\nsamples=0\n[train]\n',
            "`$.samples`",
        ),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\nlimit=0\n[train]\n',
            "`$.limit`",
        ),
        (
            'task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\nretries=-1\n[train]\n',
            "`$.retries`",
        ),
    ],
)
def test_a_bad_plan_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    ended = its_eval("matrix", plan)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_seeds_are_one_row_and_the_base_is_no_side() -> None:
    found = {
        Cell("base", "random", "b"): {"a": 1.0, "b": 1.0},
        Cell("none", "none", "n"): {"a": 0.0, "b": 0.0},
        Cell("random", "random", "r0"): {"a": 1.0, "b": 0.0},
        Cell("random", "random", "r1"): {"a": 1.0, "b": 1.0},
    }
    told = result(found)
    values = {(c["train"], c["test"]): c["pass_at_1"]["value"] for c in told["cells"]}
    assert values == {("base", "random"): 1, ("none", "none"): 0, ("random", "random"): 0.75}
    assert [each["model"] for each in told["models"]] == ["b", "n", "r0", "r1"]
    assert [c["model"] for c in told["cells"]][-1] == "r0, r1"
    assert not told["cells"][0]["co_designed"]
    (contrast,) = told["contrasts"]
    assert (contrast["name"], contrast["both"], contrast["one"]) == ("in neither", 0.75, 0.0)
    assert contrast["checkpoints"] == [1, 1], "the second seed has no checkpoint to compare with"


def test_contrasts_pair_problems_over_groups() -> None:
    found = {
        Cell("similar", "similar", "s"): {"a": 1.0, "b": 1.0},
        Cell("random", "random", "r"): {"a": 1.0, "b": 0.0},
        Cell("similar", "none", "s"): {"a": 0.0, "b": 0.0},
    }
    (made,) = contrasts(found)
    assert (made.name, made.both, made.one) == ("in training only", 1.0, 0.0), "r was not asked so"


STRATEGIES = ("none", "similar", "unsimilar", "random")


def cells(
    rng: np.random.Generator, seeds: int, spread: float, *, change: float = 0.0
) -> CellShares:
    """A matrix of one thousand problems, where each training has its own luck in every cell.

    `change` is what a context adds to checkpoints trained with one.
    """
    difficulty = rng.normal(0, 1.5, 1000)
    found = {}
    for train in STRATEGIES:
        for seed in range(seeds):
            luck = rng.normal(0, spread)
            for test in STRATEGIES:
                more = change if train != "none" and test != "none" else 0.0
                chance = 1 / (1 + np.exp(-(difficulty + luck + more)))
                right = rng.random(1000) < chance
                shares = {f"p{n}": float(x) for n, x in enumerate(right)}
                found[Cell(train, test, f"{train}-{seed}")] = shares
    return found


def test_luck_of_trainings_is_not_called_an_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over problems alone, half of such experiments are "significant"."""
    monkeypatch.setattr(permutation, "DRAWS", 499)
    rng = np.random.default_rng(3)
    runs, alone = [], []
    for _ in range(40):
        made = {each.name: each for each in contrasts(cells(rng, 3, 0.15))}
        assert set(made) == {"in training only", "in testing only", "in neither", "interaction"}
        runs += [each.training.p for each in made.values()]
        alone.append(made["in testing only"].here.p < 0.05)
    assert np.mean([p is not None and p < 0.05 for p in runs]) <= 0.055 + 0.03
    assert np.mean(alone) > 0.2, "the problem as the unit would have been fooled"


def test_the_interaction_is_what_a_context_adds_after_training_with_one() -> None:
    found = cells(np.random.default_rng(0), 4, 0.15, change=0.6)
    made = {each.name: each for each in contrasts(found)}["interaction"]
    level = {cell: sum(shares.values()) / 1000 for cell, shares in found.items()}

    def mean(trained: bool, asked: bool) -> float:
        return float(np.mean([
            share for cell, share in level.items()
            if cell.trained_with_context is trained and cell.asked_with_context is asked
        ]))  # fmt: skip

    expected = (mean(True, True) - mean(True, False)) - (mean(False, True) - mean(False, False))
    assert made.training.difference == pytest.approx(expected)
    assert made.here.difference.value == pytest.approx(expected)
    assert made.p == pytest.approx(1 / 4**4), "no other arrangement is as far"
    assert made.training.interval is not None
    assert made.training.interval.low > 0


def test_each_checkpoint_is_compared_with_itself() -> None:
    found = cells(np.random.default_rng(1), 2, 0.1)
    made = within(found)
    assert len(made) == 8
    first = next(each for each in made if each.model == "random-0")
    expected = np.mean([sum(found[Cell("random", test, "random-0")].values()) / 1000
                        for test in STRATEGIES[1:]])  # fmt: skip
    assert first.context == pytest.approx(expected)
    assert first.tested.difference.value == pytest.approx(first.context - first.none)


def test_the_interval_of_a_cell_covers_other_seeds() -> None:
    found = cells(np.random.default_rng(2), 3, 0.5)
    told = result(found)
    several = next(each for each in told["cells"] if each["train"] == each["test"] == "random")
    alone = next(each for each in told["models"] if each["train"] == each["test"] == "random")
    width = [each["pass_at_1"]["high"] - each["pass_at_1"]["low"] for each in (several, alone)]
    assert width[0] > 2 * width[1]
    assert several["checkpoints"] == 3


def test_a_cell_with_a_call_that_is_refused_for_good_can_count_it_as_wrong(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    def refuse_one(body: Body) -> Response:
        if "What is 1" in body["messages"][0]["content"]:
            return JSONResponse({"error": {"message": "too long"}}, 400)
        return speaks(r"\boxed{1}")(body)

    proxy = start(MATRIX)
    engine.scripts["n"] = refuse_one
    problems(tmp_path, 3)
    plan = tmp_path / "plan.toml"
    lines = [
        'task = "t"', 'data = "problems.jsonl"', 'out = "cells"', 'test = ["none"]',
        f'base_url = "{proxy.base_url}/v1"', "[train]", 'none = "trained-n"',
    ]  # fmt: skip
    plan.write_text("\n".join(lines))
    assert its_eval("matrix", plan).returncode == 1
    plan.write_text("\n".join(["accept_failed = true", *lines]))
    ended = its_eval("matrix", plan)
    assert ended.returncode == 0, ended.stderr
    assert "33.3%" in ended.stdout
