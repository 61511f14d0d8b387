"""Data, training, checkpoint, proxy: one contract, with the real Axolotl on a tiny model."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from its import manifest
from sft.training.fingerprint import config_sha256

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def trained() -> dict[str, Path]:
    """Folders that a test has trained, for those after it."""
    return {}


def losses(output: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"'loss': '?([\d.]+)", output)]


def panels(folder: Path, strategy: str) -> str:
    return (
        '[engines.e]\nbase_url = "http://127.0.0.1:9/v1"\n[members.m]\nengine = "e"\nmodel = "m"\n'
        f'strategy = "{strategy}"\nmanifest = "{folder}"\n'
    )


def test_it_trains_and_the_checkpoint_knows_how(
    run: Run, configured: Callable[..., Path], work: Path, trained: dict[str, Path]
) -> None:
    config = configured("full", num_epochs=3)
    made = run("axolotl", "preprocess", config.name)
    assert made.returncode == 0, made.stderr[-2000:]
    made = run("sft", "train", config.name, "--launcher", "python")
    assert made.returncode == 0, made.stderr[-2000:]
    found = losses(made.stdout + made.stderr)
    assert found[-1] < 0.6 * found[0]
    folder = work / "checkpoints" / "full"
    for place in (folder, *folder.glob("checkpoint-*")):
        known = manifest.read(place)
        assert known.base_model == "models/tiny"
        assert (known.train.strategy, known.test_strategy) == ("random", "random")
        assert known.train.dataset
        assert known.train.dataset.rows == 64
        assert known.train.versions["axolotl"] == "0.21.0"
    assert manifest.read(folder).train.final_loss == pytest.approx(found[-1], abs=0.01)
    assert len(list(folder.glob("checkpoint-*"))) == 2
    trained["full"] = folder


def test_the_proxy_takes_the_checkpoint_and_refuses_it_asked_otherwise(
    run: Run, work: Path, trained: dict[str, Path]
) -> None:
    file = work / "panels.toml"
    file.write_text(panels(trained["full"], "random"))
    said = run("proxy", "check", "--config", file, "--explain")
    assert said.returncode == 0, said.stderr
    file.write_text(panels(trained["full"], "none"))
    said = run("proxy", "check", "--config", file)
    assert said.returncode != 0
    assert "random" in said.stderr
    assert "none" in said.stderr


def test_what_is_done_is_not_done_again_and_a_failure_stops(
    run: Run, configured: Callable[..., Path], trained: dict[str, Path]
) -> None:
    done = configured("full", num_epochs=3)
    wrong = configured("wrong", input_time={"strategy": "similar"})
    never = configured("never")
    made = run("sft", "train", done.name, wrong.name, never.name, "--launcher", "python")
    assert made.returncode == 1
    assert "[1/3] full.yml: done before" in made.stderr
    assert "[2/3] axolotl train wrong.yml" in made.stderr
    assert "its-sft: axolotl train wrong.yml ended with 1" in made.stderr.replace("\n", " ")
    assert "[3/3]" not in made.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input_time": {"strategy": "similar"}}, "strategy is `similar`, and data/smoke-r was"),
        ({"input_time": {"strategy": "random", "placement": "after"}}, "placement is `after`"),
        ({"input_time": None}, "input_time: is missing"),
        ({"input_time": {"strategy": "random", "test_strategy": "none"}}, "both stages or in none"),
    ],
)
def test_other_data_than_declared_stops_before_a_model_is_loaded(
    run: Run, configured: Callable[..., Path], work: Path, changes: Any, told: str
) -> None:
    config = configured("refused", **changes)
    made = run("axolotl", "train", config.name, "--launcher", "python")
    assert made.returncode != 0
    assert told in made.stderr + made.stdout
    assert not list((work / "checkpoints").glob("refused/*.safetensors"))
    assert "Loading weights" not in made.stderr


def test_changed_data_is_refused(
    run: Run, configured: Callable[..., Path], data: Path, work: Path
) -> None:
    copy = work / "data" / "changed"
    shutil.copytree(data, copy)
    with (copy / "train.jsonl").open("a") as file:
        file.write(json.dumps({"messages": []}) + "\n")
    content = yaml.safe_load(configured("changed").read_text())
    content["datasets"][0]["path"] = "data/changed/train.jsonl"
    config = configured("changed", datasets=content["datasets"])
    made = run("axolotl", "preprocess", config.name)
    assert made.returncode != 0
    assert "it was changed after `its-sft build`" in " ".join((made.stderr + made.stdout).split())


def test_the_manifest_is_of_the_files_as_they_were_when_the_training_began(
    train_here: Run, configured: Callable[..., Path], built: Callable[..., Path], work: Path
) -> None:
    from axolotl.cli.config import load_cfg
    from axolotl.integrations.base import PluginManager

    rows, config = built("kept"), configured("kept", rows="kept")
    was = config_sha256(yaml.safe_load(config.read_text()))
    cfg = load_cfg(str(config))
    plugin = PluginManager.get_instance().plugins["sft.training.plugin.InputTimePlugin"]
    plugin.load_datasets(cfg)
    shutil.rmtree(rows)
    config.write_text("seed: 1\n")
    plugin.record(cfg, work / "checkpoints" / "kept")
    known = manifest.read(work / "checkpoints" / "kept")
    assert known.train.config_sha256 == was
    assert known.train.dataset


def test_an_adapter_trains_and_merges(
    run: Run, configured: Callable[..., Path], work: Path
) -> None:
    config = configured("lora", "smoke-cpu-lora")
    early = run("sft", "merge", config.name)
    assert early.returncode == 1
    assert "train first: its-sft train lora.yml" in early.stderr
    made = run("sft", "train", config.name, "--launcher", "python")
    assert made.returncode == 0, made.stderr[-2000:]
    adapter = work / "checkpoints" / "lora"
    assert (adapter / "adapter_model.safetensors").exists()
    bare = run("axolotl", "merge-lora", config.name, f"--lora-model-dir={adapter}")
    assert bare.returncode == 0, bare.stderr[-2000:]
    merged = adapter / "merged"
    assert manifest.read(merged) == manifest.read(adapter)

    (merged / manifest.NAME).unlink()
    file = work / "panels.toml"
    file.write_text(panels(merged, "random"))
    said = run("proxy", "check", "--config", file)
    assert "its-sft merge CONFIG" in said.stderr
    made = run("sft", "merge", config.name)
    assert made.returncode == 0, made.stderr[-2000:]
    assert run("proxy", "check", "--config", file).returncode == 0


def test_inspect_shows_what_is_learnt(run: Run, configured: Callable[..., Path]) -> None:
    config = configured("shown")
    said = run("sft", "inspect", config.name, "--row", 2)
    assert said.returncode == 0, said.stderr[-2000:]
    assert "|<|im_end|>|" in said.stdout
    assert re.search(r"\d+ tokens: \d+ trained \(green\), \d+ masked", said.stdout)
    said = run("sft", "inspect", config.name, "--row", 99)
    assert said.returncode == 2
    assert "has no row 99" in said.stderr
