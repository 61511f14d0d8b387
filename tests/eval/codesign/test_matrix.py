"""Train strategy x test strategy: cells that are run once, and what the contrasts say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from eval.codesign.matrix import Cell, contrasts, result
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
    assert by_name["in training only"]["p"] == pytest.approx(2 / 2**8)
    assert by_name["in neither"]["difference"]["value"] == 0.5
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


def test_contrasts_pair_problems_over_groups() -> None:
    found = {
        Cell("similar", "similar", "s"): {"a": 1.0, "b": 1.0},
        Cell("random", "random", "r"): {"a": 1.0, "b": 0.0},
        Cell("similar", "none", "s"): {"a": 0.0, "b": 0.0},
    }
    (made,) = contrasts(found)
    assert (made.name, made.both, made.one) == ("in training only", 0.75, 0.0)


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
