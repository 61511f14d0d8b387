"""Where the contexts of a run came from, and that a run which mixes sources is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from eval.figures.sources import mixed_fault, sources_of
from eval.samples import EvalSample
from tests.conftest import MEMBERS, Proxy
from tests.eval.harness import its_eval, its_eval_run, problems, run_args
from tests.scripted import Body, Engine, fails, says, speaks

WRITES = """
[personas.generate]
engine = "e"
model = "writer"
"""


def sample(number: int, input_time: dict[str, Any], error: str | None = None) -> EvalSample:
    return EvalSample(f"p{number}", 0, 0, "1", "?", input_time=input_time, error=error)


def test_sources_are_counted_for_each_member_and_strategy() -> None:
    ballots = [
        {"member": "s", "strategy": "similar", "source": "generate"},
        {"member": "m", "strategy": "mixed", "drawn": "random", "source": "bank"},
        {"member": "n", "strategy": "none", "source": None},
    ]
    other = [{"member": "s", "strategy": "similar", "source": "bank"}]
    failed = sample(3, {"strategy": "similar", "source": "bank"}, error="no answer")
    found = sources_of([*(sample(i, {"ballots": ballots}) for i in range(3)),
                        sample(4, {"ballots": other}), failed])  # fmt: skip
    assert found == {"s, similar": {"generate": 0.75, "bank": 0.25}, "m, random": {"bank": 1.0}}
    assert mixed_fault(found, 0.25) is None
    assert "the contexts of s, similar are mixed: generate 75.0%, bank 25.0%" in str(
        mixed_fault(found, 0.2)
    )


def test_a_run_without_contexts_has_no_sources() -> None:
    assert sources_of([sample(1, {}), sample(2, {"strategy": "none", "source": None})]) == {}


def half_written(body: Body) -> Any:
    """Write for every second question; a fault is the bank's for a while."""
    if body["seed"] % 2:
        return fails(500)(body)
    domain = body["messages"][-1]["content"].partition("field of ")[2].partition(".")[0]
    return says(f"You live for {domain} by the sea, and sing of it to your neighbours.")(body)


def started(engine: Engine, start: Proxy) -> str:
    engine.scripts.update(r=speaks(r"\\boxed{1}"), writer=half_written)
    return str(start(MEMBERS + WRITES).base_url)


def test_a_run_of_mixed_sources_is_refused_and_kept(
    engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    line = [problems(tmp_path, 24), *run_args(tmp_path, started(engine, start), "r")[1:]]
    problems(tmp_path, 24)
    ended = its_eval_run(*line)
    assert ended.returncode == 1
    assert "the contexts of model, random are mixed" in ended.stderr
    assert "--max-mixed" in ended.stderr
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["contexts"]
    assert set(found["model, random"]) == {"generate", "bank"}
    calls = len(engine.bodies("r"))
    accepted = its_eval_run(*line, "--max-mixed", 1)
    assert accepted.returncode == 0, accepted.stderr
    assert "contexts of model, random: " in accepted.stdout
    assert len(engine.bodies("r")) == calls, "what was answered is not asked again"


def test_a_cell_of_mixed_sources_is_refused(engine: Engine, start: Proxy, tmp_path: Path) -> None:
    url = started(engine, start)
    problems(tmp_path, 24)
    plan = tmp_path / "plan.toml"
    text = (
        f'task = "p"\ndata = "problems.jsonl"\nbase_url = "{url}/v1"\nout = "cells"\n'
        'test = ["random"]\nmax_mixed = 0.1\n[train]\nrandom = "r"\n'
    )
    plan.write_text(text)
    ended = its_eval("matrix", plan)
    assert ended.returncode == 1
    assert "are mixed" in ended.stderr
    plan.write_text(text.replace("0.1", "1.0"))
    ended = its_eval("matrix", plan)
    assert ended.returncode == 0, ended.stderr
    assert "contexts of model, random: " in ended.stderr


@pytest.mark.parametrize("option", ["--max-mixed", "--temperature", "--top-p", "--timeout"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_numbers_are_finite(option: str, value: str, tmp_path: Path) -> None:
    ended = its_eval_run(*run_args(tmp_path, "http://127.0.0.1:9"), option, value)
    assert ended.returncode == 2
    assert option in ended.stderr


def test_a_plan_has_finite_numbers(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('task="p"\nbase_url="http://h/v1"\nout="o"\ntest=[]\ntimeout=nan\n[train]\n')
    assert "timeout: must be a finite number" in its_eval("matrix", plan).stderr
    experiment = tmp_path / "experiment.toml"
    experiment.write_text("[sections.a]\ntemperature = inf\n")
    ended = its_eval("codesign", experiment)
    assert "sections.a.temperature: must be a finite number" in ended.stderr
