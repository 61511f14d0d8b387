"""The strict check: every file of the table passes, every planted mistake is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sft.check import faults
from sft.recipes import recipes
from tests.conftest import ROOT

NAMES = [recipe.name for recipe in recipes()]
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


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.update(learning_rat=1e-5), "learning_rat: no such key"),
        (lambda c: c.update(optimizer="adamww"), "optimizer: there is no 'adamww'"),
        (lambda c: c.update(lr_scheduler="cosin"), "lr_scheduler: there is no 'cosin'"),
        (lambda c: c["datasets"][0].update(roles_to_trian=[]), "datasets[0].roles_to_trian: no"),
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
