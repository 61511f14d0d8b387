"""What an experiment can show: from a pilot's variances, held against simulation."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval.codesign.power import PilotSpread, detectable, paired_cells, pilot_spread
from eval.errors import EvalError
from eval.figures.permutation import blocked
from tests.eval.harness import its_eval


def matrix(levels: dict[str, list[tuple[float, float]]]) -> dict[str, object]:
    """A matrix.json: for each strategy, the accuracy without and with a context of each seed."""
    models = [
        {"train": train, "test": test, "model": f"{train}-{seed}", "pass_at_1": {"value": value}}
        for train, pairs in levels.items()
        for seed, pair in enumerate(pairs)
        for test, value in zip(("none", "random"), pair, strict=True)
    ]
    return {"models": models}


def test_variances_are_those_within_a_strategy() -> None:
    found = pilot_spread(
        matrix({"none": [(0.4, 0.3), (0.5, 0.4)], "random": [(0.8, 0.9), (0.6, 0.7)]})
    )
    assert found.level == pytest.approx(np.sqrt((0.005 + 0.02) / 2))
    assert found.correlation == pytest.approx(1.0)
    assert found.change == pytest.approx(0.0, abs=1e-6)
    assert (found.checkpoints, found.strategies) == (4, 2)


def test_a_pilot_of_one_seed_knows_no_spread() -> None:
    with pytest.raises(EvalError, match="train a second seed"):
        pilot_spread(matrix({"none": [(0.4, 0.3)], "random": [(0.8, 0.9)]}))


def test_what_is_detectable_is_found_four_times_in_five() -> None:
    spread = PilotSpread(0.06, 0.78)
    found = detectable(spread, 8)
    assert found.level is not None
    rng = np.random.default_rng(0)
    seeds = [*range(8)]
    fired = []
    for _ in range(300):
        one, two = rng.normal(0, 0.06, 8), rng.normal(found.level, 0.06, 8)
        p = blocked([*one, *two], [False] * 8 + [True] * 8, seeds * 2).p
        fired.append(p is not None and p < 0.05)
    assert 0.72 <= np.mean(fired) <= 0.88
    assert found.change is not None
    assert found.change / found.level == pytest.approx(np.sqrt(2 * 0.22))


def test_more_hypotheses_need_more_and_too_few_seeds_show_nothing() -> None:
    spread = PilotSpread(0.06, 0.78)
    one, three = detectable(spread, 8), detectable(spread, 8, hypotheses=3)
    assert one.level is not None
    assert three.level is not None
    assert three.level > one.level
    few = detectable(spread, 4)
    assert (few.level, few.smallest_p) == (None, 0.125)
    assert detectable(spread, 3, treated=3).level is not None, "three strategies against one"


def test_two_cells_of_one_checkpoint() -> None:
    assert paired_cells(1000, 0.1) == pytest.approx(2.8016 * np.sqrt(0.1 / 1000), rel=1e-3)


def test_the_command_reads_a_pilot(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    levels = {"none": [(0.4, 0.35), (0.5, 0.4)], "random": [(0.8, 0.9), (0.7, 0.7)]}
    file.write_text(json.dumps(matrix(levels)))
    ended = its_eval("power", file, "--seeds", 8, "--hypotheses", 3, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["spread"]["checkpoints"] == 4
    assert [row["hypotheses"] for row in told["detectable"]] == [1, 3]
    assert "from 4 checkpoints" in its_eval("power", file).stdout
    file.write_text("[]")
    assert "is no matrix.json" in its_eval("power", file).stderr
    assert its_eval("power", "--sd", "nan").returncode == 2
