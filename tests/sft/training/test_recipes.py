"""The training files are what their table says, and their numbers add up."""

import difflib
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml

from its.strategies import PAPER, STRATEGIES
from sft.commands.data import SetOption
from sft.data.sets import BOXED, PUBLIC, SOURCES
from sft.errors import TrainingError
from sft.training.estimates import Estimate
from sft.training.recipe_files import render
from sft.training.recipes import Recipe, every, named, recipes
from tests.conftest import ROOT, command, process

LETTERS = [STRATEGIES[name].letter for name in PAPER]

RECIPES = {recipe.name: recipe for recipe in recipes()}
OTHERS = (
    "qwen2.5-32b-instruct-limo-v2-s", "r1-distill-qwen-32b-limo-u", "qwen3-8b-ot-15k-n-lora",
    "qwen2.5-7b-instruct-ot-1k-r", "qwen2.5-coder-0.5b-instruct-gsm8k-1k-u", "smoke-cpu-lora",
    "r1-distill-qwen-32b-ot-15k-r-16gpu", "r1-distill-qwen-32b-ot-1k-mixed-qlora",
    "qwen2.5-32b-instruct-ot-1k-retrieved", "r1-distill-qwen-1.5b-limo-r",
)  # fmt: skip
"""Names that no file is kept for."""

load = partial(yaml.load, Loader=yaml.CSafeLoader)
"""All recipes are read many times, and the loader in Python takes ten times as long."""


def content(name: str) -> str:
    return (ROOT / "sft" / f"{name}.yml").read_text("utf-8")


def test_the_committed_files_are_the_table_s() -> None:
    files = {path.stem for path in (ROOT / "sft").glob("*.yml")}
    assert set(RECIPES) <= files
    for name in files:
        assert content(name) == render(named(name)), "run: its-sft recipes --write"


def test_what_was_asked_for_is_there() -> None:
    large = [
        f"{base}-ot-1k-{letter}"
        for base in ("qwen2.5-32b-instruct", "r1-distill-qwen-32b")
        for letter in LETTERS
    ]
    assert set(large) < set(RECIPES)
    assert len(RECIPES) == 19
    kinds = {(r.set_name, r.strategy, r.variant, r.base_name) for r in RECIPES.values()}
    for wanted in (
        {"ot-15k"}, {"limo"}, {"mixed"}, {"lora", "qwen2.5-7b-instruct"}, {"smoke"},
        {"qlora", "qwen2.5-32b-instruct"}, {"16gpu", "qwen2.5-32b-instruct"}, {"qwen3-8b"},
        {"r1-distill-qwen-1.5b"}, {"qwen2.5-coder-0.5b-instruct"},
    ):  # fmt: skip
        assert any(wanted <= set(kind) for kind in kinds), wanted


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_is_written_by_its_name(name: str, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "sft", "recipes", name]
    ended = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    said = load((tmp_path / "sft" / f"{name}.yml").read_text("utf-8"))
    assert said["output_dir"] == f"checkpoints/{name}"
    for key in ("deepspeed", "chat_template_jinja"):
        assert said.get(key) is None or (tmp_path / said[key]).is_file()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("qwen2.5-32b-instruct-limo-v3-r", "qwen2.5-32b-instruct-limo-v2-r"),
        ("qwen2.5-32b-instruct-ot-1k-r-32gpu", "16gpu"),  # 16 rows a step are too few for 32
        ("smollm2-135m-ot-1k-r", "SET: ot-1k"),
        ("nonsense", "BASE: qwen2.5-32b-instruct"),
    ],
)
def test_a_name_that_the_table_has_not_is_told_with_near_ones(name: str, told: str) -> None:
    with pytest.raises(TrainingError, match="no recipe") as error:
        named(name)
    assert told in str(error.value)
    assert command("sft", "recipes", name).returncode == 2


def test_a_set_is_declared_once() -> None:
    """Builds, sources and recipes know each set by its entry in `SETS`, and by nothing else."""
    for name, known in PUBLIC.items():
        assert name in SetOption.__members__
        assert known.source == SOURCES[known.source.name if known.source else ""]
        assert {f"r1-distill-qwen-1.5b-{name}-{letter}" for letter in LETTERS} < set(every())
    for path in (ROOT / "sft").rglob("*.py"):
        text = path.read_text("utf-8").partition("def recipes()")[0]  # it lists the files kept
        named_here = [name for name in PUBLIC if f'"{name}"' in text]
        assert not named_here or path.name == "sets.py", f"{path} names {named_here}"


def text_of(name: str) -> str:
    return render(named(name))


@pytest.mark.parametrize("name", [*RECIPES, *OTHERS])
def test_the_batch_is_the_cited_one(name: str) -> None:
    said, recipe = load(text_of(name)), named(name)
    gpus = max(1, recipe.hardware.gpus)
    rows = said["micro_batch_size"] * said["gradient_accumulation_steps"] * gpus
    assert rows == recipe.hyperparameters.batch
    assert not said["sample_packing"], "a packed row would be many"
    assert said["num_epochs"] == recipe.hyperparameters.epochs
    assert said["sequence_len"] == recipe.hyperparameters.tokens
    assert said["learning_rate"] == pytest.approx(recipe.hyperparameters.learning_rate)
    assert said["input_time"]["strategy"] == recipe.strategy
    assert said["input_time"]["batch"] == rows
    assert said["excess_length_strategy"] == "raise"
    if recipe.hardware.gpus:
        assert f"= {rows} rows a step, {recipe.steps} steps" in text_of(name)


@pytest.mark.parametrize("name", [*RECIPES, *OTHERS])
def test_a_crash_costs_an_epoch_or_the_first_line_says_what(name: str) -> None:
    said, first = load(text_of(name)), text_of(name).partition("\n")[0]
    resumes = said["auto_resume_from_checkpoints"]
    assert resumes is not said["save_only_model"]
    assert first.startswith("# A crash costs the run") is not (resumes or "smoke" in name)


@pytest.mark.parametrize("name", ["qwen2.5-32b-instruct-limo-r", "qwen2.5-32b-instruct-limo-v2-s"])
def test_all_epochs_of_limo_are_kept(name: str) -> None:
    said = load(text_of(name))
    assert said["save_total_limit"] == said["num_epochs"] == 15


@pytest.mark.parametrize("name", [*RECIPES, *OTHERS])
def test_held_out_rows_are_evaluated_and_not_trained_on(name: str) -> None:
    said, recipe = load(text_of(name)), named(name)
    if recipe.set_name == "smoke":
        assert "test_datasets" not in said
        return
    [trained], [tested] = said["datasets"], said["test_datasets"]
    assert tested["path"] == trained["path"].replace("train.jsonl", "heldout.jsonl")
    assert {**tested, "path": 0} == {**trained, "path": 0, "split": "train"}
    assert said["evals_per_epoch"] == said["saves_per_epoch"] == 1
    assert f"--hold-out {recipe.set.held_out} --max-tokens {said['sequence_len']}" in text_of(name)


def test_more_machines_take_the_same_steps() -> None:
    eight, sixteen = (named(f"qwen2.5-32b-instruct-ot-1k-r{v}") for v in ("", "-16gpu"))
    assert (eight.accumulation, sixteen.accumulation) == (2, 1)
    assert eight.steps == sixteen.steps == 300
    assert "--nnodes 2 --nproc-per-node 8" in render(sixteen)


def test_two_gpus_that_share_a_row_leave_the_batch_as_it_is() -> None:
    text = content("qwen2.5-32b-instruct-ot-1k-r")
    assert "# gradient_accumulation_steps: 4\n# context_parallel_size: 2" in text
    for name in ("qwen2.5-32b-instruct-limo-r", "qwen2.5-7b-instruct-ot-1k-r-lora"):
        assert "context_parallel_size" not in content(name)


@pytest.mark.parametrize("name", [*RECIPES, *OTHERS])
def test_weights_are_never_bf16_alone(name: str) -> None:
    """Full fine-tuning in bf16 without an fp32 copy rounds small updates away."""
    said = load(text_of(name))
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
    assert len(changed) <= 40
    for line in changed:
        assert re.search(r"similar|ot-1k-[su]", line), line


def test_memory_and_hours_follow_their_formulas() -> None:
    recipe = RECIPES["qwen2.5-32b-instruct-ot-1k-r"]
    found = Estimate(recipe)
    assert found.gpu == pytest.approx(4 * 32.8e9 / 8 + 2 * 64 * 5120 * 32_768)
    assert found.main_memory == pytest.approx(600e9, rel=0.05)
    flops = 8 * 32.8e9 * 950 * 9_000 * 5
    adam = 300 * 32.8e9 / 5.5e9
    assert found.hours == pytest.approx((1.8 * flops / (8 * 989e12 * 0.35) + adam) / 3600)
    assert 2.5 <= found.hours <= 3
    for each in every().values():
        assert Estimate(each).gpu < 80e9, each.name


@pytest.mark.parametrize("name", RECIPES)
def test_every_file_has_its_trackers_ready(name: str) -> None:
    for key in (f"wandb_name: {name}", "use_tensorboard: true", f"trackio_run_name: {name}"):
        assert f"\n# {key}" in content(name)


@pytest.mark.parametrize("name", [*RECIPES, *OTHERS])
def test_what_is_not_measured_is_said_to_be_estimated(name: str) -> None:
    text = text_of(name)
    figures = re.findall(r"(?m)^# - (GPU memory|Main memory|Disk|Hours)", text)
    assert bool(figures) == ("# Estimates, not measured" in text) == ("smoke" not in name)


@pytest.mark.parametrize("name", ["zero3", "zero3_offload"])
def test_deepspeed_s_files(name: str) -> None:
    said = json.loads((ROOT / f"sft/deepspeed/{name}.json").read_text())
    zero = said["zero_optimization"]
    assert zero["stage"] == 3
    assert ("offload_optimizer" in zero) == (name == "zero3_offload")
    assert zero["stage3_gather_16bit_weights_on_model_save"], "else a checkpoint has no weights"
    assert said["data_types"]["grad_accum_dtype"] == "fp32", "else accumulated rows are rounded"


def test_the_readme_names_files_that_are_there() -> None:
    named = re.findall(r"`(sft/[\w.-]+\.yml)`", (ROOT / "README.md").read_text("utf-8"))
    assert len(set(named)) == 7
    for name in named:
        assert (ROOT / name).is_file()


def test_the_command_lists_and_writes(tmp_path: Path) -> None:
    listed = command("sft", "recipes")
    assert listed.returncode == 0
    assert "qwen2.5-32b-instruct-ot-1k-r " in listed.stdout
    nowhere = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    checked = process("sft", "recipes", "--check", env=nowhere)
    assert checked.returncode == 2
    assert "needs axolotl: make train-env" in checked.stderr


def test_who_has_no_clone_gets_all_that_the_files_name(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "sft", "recipes", "--write"]
    ended = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    for file in (tmp_path / "sft").glob("*.yml"):
        said = load(file.read_text("utf-8"))
        for key in ("deepspeed", "chat_template_jinja"):
            assert said.get(key) is None or (tmp_path / said[key]).is_file()
        assert file.read_text("utf-8") == content(file.stem)


def test_a_recipe_is_a_value() -> None:
    recipe: Recipe = RECIPES["smoke-cpu"]
    assert recipe == RECIPES["smoke-cpu"]
    assert recipe.data == "data/smoke-r"


@pytest.mark.parametrize(
    ("name", "rows", "test"),
    [
        ("qwen2.5-32b-instruct-limo-r", 32,
         {"temperature": 0.7, "top_p": 0.8, "max_tokens": 30_720}),
        ("qwen2.5-32b-instruct-limo-v2-r", 64,
         {"temperature": 0.7, "top_p": 0.8, "max_tokens": 30_720}),
        ("r1-distill-qwen-1.5b-limo-r", 32,
         {"temperature": 0.6, "top_p": 0.95, "max_tokens": 32_768, "thinking": False}),
    ],
)  # fmt: skip
def test_limo_is_trained_as_its_authors_do(name: str, rows: int, test: dict[str, object]) -> None:
    said = load(render(named(name)))
    block = said["input_time"]
    assert block["system"] == BOXED
    assert block["batch"] == rows
    assert block["test"] == test
    gpus = 8 if "32b" in name else 1
    assert said["micro_batch_size"] * said["gradient_accumulation_steps"] * gpus == rows
    assert said["num_epochs"] == 15


def test_prompt_and_answer_stay_within_the_base_s_context() -> None:
    for recipe in every().values():
        test = load(render(recipe))["input_time"].get("test", {})
        wanted = {"Qwen2.5": 30_720, "DeepSeek": 32_768, "Qwen3": 32_768}
        longest = [most for name, most in wanted.items() if f"/{name}" in recipe.base.repo]
        assert [test["max_tokens"]] == longest if test else not longest


def test_the_list_is_printed_in_every_form() -> None:
    listed = [json.loads(line) for line in command("sft", "recipes", "--json").stdout.splitlines()]
    assert [each["name"] for each in listed] == list(RECIPES)
    smoke = next(each for each in listed if each["name"] == "smoke-cpu")
    assert (smoke["gpus"], smoke["hours"]) == (0, None)
    assert command("sft", "recipes", "--csv").stdout.splitlines()[0].startswith("sft/NAME.yml,rows")
    shown = command("sft", "recipes").stdout
    assert all(name in shown for name in RECIPES)
