"""The strict check: every file of the table passes, every planted mistake is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sft.training.check import faults
from sft.training.recipe_files import render
from sft.training.recipes import named, recipes
from tests.conftest import ROOT

NAMES = [recipe.name for recipe in recipes()]
OTHERS = (
    "r1-distill-qwen-32b-limo-v2-u", "qwen3-8b-ot-15k-n-lora", "qwen2.5-7b-instruct-ot-1k-s",
    "r1-distill-qwen-32b-ot-1k-mixed-qlora", "smoke-cpu-lora",
    "qwen2.5-32b-instruct-ot-15k-r-16gpu",
)  # fmt: skip
TRACKERS = {
    "W&B": ["wandb_project", "wandb_name"],
    "TensorBoard": ["use_tensorboard"],
    "trackio": ["use_trackio", "trackio_project_name", "trackio_run_name"],
}
GPU = "qwen2.5-32b-instruct-ot-1k-r"


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., list[str]]:
    def faults_of(change: Callable[[dict[str, Any]], Any]) -> list[str]:
        content = yaml.safe_load((ROOT / "sft" / f"{GPU}.yml").read_text("utf-8"))
        change(content)
        path = tmp_path / "changed.yml"
        path.write_text(yaml.safe_dump(content), "utf-8")
        return faults(path)

    return faults_of


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_right(name: str) -> None:
    assert faults(ROOT / "sft" / f"{name}.yml") == []


@pytest.mark.parametrize("name", OTHERS)
def test_every_file_that_a_name_gives_is_right(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "made.yml").write_text(render(named(name)), "utf-8")
    assert faults(tmp_path / "made.yml") == []


def uncommented(text: str, keys: list[str]) -> dict[str, Any]:
    """Return the file with the commented `keys` switched on."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    found = yaml.safe_load("\n".join(line for line in lines if line.partition(":")[0] in keys))
    assert sorted(found) == sorted(keys)
    return dict(found)


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize("name", [GPU, "smoke-cpu"])
def test_every_tracker_s_block_is_right(name: str, tracker: str, tmp_path: Path) -> None:
    text = (ROOT / "sft" / f"{name}.yml").read_text("utf-8")
    added = uncommented(text, TRACKERS[tracker])
    path = tmp_path / "tracked.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load(text) | added), "utf-8")
    assert faults(path) == []


def test_two_gpus_may_share_a_row(changed: Any) -> None:
    text = (ROOT / "sft" / f"{GPU}.yml").read_text("utf-8")
    added = uncommented(text, ["context_parallel_size"])
    assert added == {"context_parallel_size": 2}
    assert changed(lambda content: content.update(added, gradient_accumulation_steps=4)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.update(learning_rat=1e-5), "learning_rat: no such key"),
        (lambda c: c.update(optimizer="adamww"), "optimizer: there is no 'adamww'"),
        (lambda c: c.update(lr_scheduler="cosin"), "lr_scheduler: there is no 'cosin'"),
        (lambda c: c["datasets"][0].update(roles_to_trian=[]), "datasets[0].roles_to_trian: no"),
        (lambda c: c["test_datasets"][0].update(typ=""), "test_datasets[0].typ: no such key"),
        (
            lambda c: c.pop("deepspeed") and c.update(fsdp_config={"offload_paramz": False}),
            "fsdp_config.offload_paramz: no such key",
        ),
        (lambda c: c.update(attn_implementation="flash"), "refused: "),
        (lambda c: c.update(learning_rate="fast"), "refused: "),
        (lambda c: c.update(deepspeed="sft/deepspeed/zero4.json"), "deepspeed: sft/deepspeed"),
        (lambda c: c["input_time"].update(strategie="random"), "refused: input_time: "),
        (lambda c: c["input_time"].update(test_strategy="none"), "both stages or in none"),
        (lambda c: c.pop("input_time"), "refused: input_time: is missing"),
        (lambda c: c.update(fsdp_config={"offload_params": False}, fsdp_version=2), "refused: "),
        (lambda c: c.update(plugins=c["plugins"][:1]), "liger_rope: no such key"),
    ],
)  # fmt: skip
def test_a_planted_mistake_is_named(changed: Any, change: Any, told: str) -> None:
    found = changed(change)
    assert any(told in fault for fault in found), found


def documented(name: str) -> dict[str, Any]:
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    block = page.partition(f"<!-- {name} -->\n```yaml\n")[2].partition("```")[0]
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def test_fsdp2_instead_of_deepspeed_is_right(changed: Any) -> None:
    def instead(content: dict[str, Any]) -> None:
        del content["deepspeed"]
        content.update(documented("fsdp2"))

    assert changed(instead) == []


def test_a_ray_cluster_is_right(changed: Any) -> None:
    assert changed(lambda content: content.update(documented("ray"))) == []


def test_an_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "broken.yml"
    path.write_text("a: [")
    assert "cannot be read" in faults(path)[0]
    path.write_text("- a")
    assert faults(path) == ["is no mapping of keys"]
