"""The training files are what their table says, and their numbers add up."""

import difflib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from its.strategies import LETTERS
from sft import sources
from sft.recipes import SETS, Recipe, recipes, render
from tests.conftest import ROOT, command

RECIPES = {recipe.name: recipe for recipe in recipes()}


def content(name: str) -> str:
    return (ROOT / "sft" / f"{name}.yml").read_text("utf-8")


def test_the_committed_files_are_the_table_s() -> None:
    files = {path.stem for path in (ROOT / "sft").glob("*.yml")}
    assert files == set(RECIPES)
    for name, recipe in RECIPES.items():
        assert content(name) == render(recipe), "run: its-sft recipes --write"


def test_what_was_asked_for_is_there() -> None:
    large = [
        f"{base}-{data}-{letter}"
        for base in ("qwen2.5-32b-instruct", "r1-distill-qwen-32b")
        for data in ("ot-1k", "limo")
        for letter in LETTERS.values()
    ]
    small = [f"qwen2.5-coder-0.5b-instruct-gsm8k-1k-{letter}" for letter in LETTERS.values()]
    assert {*large, *small} < set(RECIPES)
    assert len(RECIPES) == 28


def test_recipes_and_builds_know_sets_of_one_size() -> None:
    shared = SETS.keys() & sources.SETS.keys()
    assert len(shared) == 4
    for name in shared:
        drawn = sources.SETS[name]
        assert SETS[name].rows == (drawn.rows or sources.SOURCES[drawn.source].rows)


@pytest.mark.parametrize("name", RECIPES)
def test_the_batch_is_the_cited_one(name: str) -> None:
    said, recipe = yaml.safe_load(content(name)), RECIPES[name]
    gpus = max(1, recipe.hardware.gpus)
    rows = said["micro_batch_size"] * said["gradient_accumulation_steps"] * gpus
    assert rows == recipe.method.batch
    assert not said["sample_packing"], "a packed row would be many"
    assert said["num_epochs"] == recipe.method.epochs
    assert said["sequence_len"] == recipe.method.tokens
    assert said["learning_rate"] == pytest.approx(recipe.method.learning_rate)
    assert said["input_time"]["strategy"] == recipe.strategy
    if recipe.hardware.gpus:
        assert f"= {rows} rows a step, {recipe.steps} steps" in content(name)


@pytest.mark.parametrize("name", RECIPES)
def test_weights_are_never_bf16_alone(name: str) -> None:
    """Full fine-tuning in bf16 without an fp32 copy rounds small updates away."""
    said = yaml.safe_load(content(name))
    full = "adapter" not in said
    assert not (full and said["bf16"] and "deepspeed" not in said)
    assert not ("deepspeed" in said and "fsdp_config" in said)
    if said["bf16"] is False:
        assert said["attn_implementation"] == "sdpa"


def test_the_difference_of_two_variants_is_the_strategy() -> None:
    one, two = content("qwen2.5-32b-instruct-ot-1k-s"), content("qwen2.5-32b-instruct-ot-1k-u")
    lines = difflib.ndiff(one.splitlines(), two.splitlines())
    changed = [line for line in lines if line[0] in "-+"]
    assert changed
    assert len(changed) <= 18
    for line in changed:
        assert re.search(r"similar|ot-1k-[su]", line), line


def test_memory_and_hours_follow_their_formulas() -> None:
    recipe = RECIPES["qwen2.5-32b-instruct-ot-1k-r"]
    assert recipe.gpu_memory == pytest.approx(4 * 32.8e9 / 8 + 2 * 64 * 5120 * 32_768)
    assert recipe.cpu_memory == 12 * 32.8e9
    flops = 8 * 32.8e9 * 1_000 * 9_000 * 5
    assert recipe.hours == pytest.approx(flops / (8 * 989e12 * 0.35) / 3600)
    for each in RECIPES.values():
        assert each.gpu_memory < 80e9


@pytest.mark.parametrize("name", ["zero3", "zero3_offload"])
def test_deepspeed_s_files(name: str) -> None:
    said = json.loads((ROOT / f"sft/deepspeed/{name}.json").read_text())
    zero = said["zero_optimization"]
    assert zero["stage"] == 3
    assert ("offload_optimizer" in zero) == (name == "zero3_offload")
    assert zero["stage3_gather_16bit_weights_on_model_save"], "else a checkpoint has no weights"


def test_the_readme_names_files_that_are_there() -> None:
    named = re.findall(r"`(sft/[\w.-]+\.yml)`", (ROOT / "README.md").read_text("utf-8"))
    assert len(set(named)) == 5
    for name in named:
        assert (ROOT / name).is_file()


def test_the_command_lists_and_writes(tmp_path: Path) -> None:
    listed = command("sft", "recipes")
    assert listed.returncode == 0
    assert "qwen2.5-32b-instruct-ot-1k-r " in listed.stdout
    checked = command("sft", "recipes", "--check")
    assert checked.returncode == 2
    assert "needs axolotl: make train-env" in checked.stderr


def test_who_has_no_clone_gets_all_that_the_files_name(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "sft", "recipes", "--write"]
    ended = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    for file in (tmp_path / "sft").glob("*.yml"):
        said = yaml.safe_load(file.read_text("utf-8"))
        for key in ("deepspeed", "chat_template_jinja"):
            assert said.get(key) is None or (tmp_path / said[key]).is_file()
        assert file.read_text("utf-8") == content(file.stem)


def test_a_recipe_is_a_value() -> None:
    recipe: Recipe = RECIPES["smoke-cpu"]
    assert recipe == RECIPES["smoke-cpu"]
    assert recipe.data == "data/smoke-r"
