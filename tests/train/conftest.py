"""What the tests with the real Axolotl share: a tiny model, a data set, training files."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from its import manifest
from its.personas import bank
from its.strategies import Shelf
from its.types import Layout
from proxy.tools import models
from sft.checkpoints import gguf_tokenizer
from sft.data.build import BuildOptions, build
from sft.data.compose import ContextOptions
from sft.training.recipe_files import render
from sft.training.recipes import named
from tests.conftest import PLAIN, ROOT

PLAIN_QWEN = (
    "qwen2.5-32b-instruct", "qwen2.5-7b-instruct", "qwen2.5-coder-0.5b-instruct", "qwen3-8b",
)  # fmt: skip
THINK_ROLES = ("<｜User｜>", "<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to train in: `sft/` is the project's, all else is made here."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "sft").symlink_to(ROOT / "sft")
    return folder


@pytest.fixture(scope="session")
def tokenizers(work: Path) -> dict[str, Path]:
    """The tokenizers of the bases: SmolLM2's own, with the others' templates and special tokens."""
    from axolotl.utils.chat_templates import get_chat_template
    from transformers import AutoTokenizer, LlamaConfig

    def quiet(message: str, done: int, total: int) -> None:
        pass

    smollm = work / "models" / "smollm2-135m"
    gguf_tokenizer.write(models.find("smollm2-135m", quiet), smollm)
    made = {"smollm2-135m": smollm}
    qwen = AutoTokenizer.from_pretrained(smollm)
    qwen.chat_template = get_chat_template("qwen_25")
    for name in PLAIN_QWEN:
        made[name] = work / "models" / name
        qwen.save_pretrained(made[name])
    r1 = AutoTokenizer.from_pretrained(smollm)
    r1.add_special_tokens(
        {
            "bos_token": THINK_ROLES[2], "eos_token": THINK_ROLES[3],
            "additional_special_tokens": list(THINK_ROLES[:2]),
        }
    )  # fmt: skip
    r1.chat_template = DELETES_THINKING
    for name in ("r1-distill-qwen-32b", "r1-distill-qwen-1.5b"):
        made[name] = work / "models" / name
        r1.save_pretrained(made[name])
    for folder in made.values():
        LlamaConfig(vocab_size=len(r1)).save_pretrained(folder)
    return made


DELETES_THINKING = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<｜User｜>' + m.content }}"
    "{% elif m.role == 'assistant' %}{{ '<｜Assistant｜>' + m.content.split('</think>')[-1]"
    " + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"
)
"""What the R1 distillations' own template does to answers."""


@pytest.fixture(scope="session")
def tiny(work: Path, tokenizers: dict[str, Path]) -> Path:
    """A random Llama of three million parameters."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tokenizers["smollm2-135m"])
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048,
        tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    folder = work / "models" / "tiny"
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def run(work: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a module or a program in the folder."""

    def ran(*args: object) -> subprocess.CompletedProcess[str]:
        program = str(args[0])
        line = [str(Path(sys.executable).with_name(program))]
        if program in {"sft", "proxy"}:
            line = [sys.executable, "-m", program]
        env = {**os.environ, **PLAIN, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
        env["OMP_NUM_THREADS"] = "1"
        return subprocess.run(
            [*line, *map(str, args[1:])],
            capture_output=True, text=True, cwd=work, env=env, timeout=400,
        )  # fmt: skip

    return ran


@pytest.fixture
def train_here(work: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that trains in this process, by the functions that `axolotl train` calls.

    Starting Axolotl takes ten seconds; a test that is refused needs one.
    """
    import torch

    monkeypatch.chdir(work)
    torch.set_num_threads(1)  # on busy cores, threads of so small a model wait for each other

    def trained(config: Path, preprocess: bool = False, **overrides: Any) -> None:
        from axolotl.cli.args import PreprocessCliArgs, TrainerCliArgs
        from axolotl.cli.config import load_cfg
        from axolotl.cli.preprocess import do_preprocess
        from axolotl.cli.train import do_train
        from axolotl.integrations.base import PluginManager

        PluginManager.get_instance().plugins.clear()  # those of the test before
        monkeypatch.delenv("AXOLOTL_IS_PREPROCESS", raising=False)
        if not preprocess:
            do_train(load_cfg(str(config), **overrides), TrainerCliArgs())
            return
        monkeypatch.setenv("AXOLOTL_IS_PREPROCESS", "1")
        cfg = load_cfg(str(config), is_preprocess=True, **overrides)
        cfg.is_preprocess = True
        do_preprocess(cfg, PreprocessCliArgs(download=False))

    return trained


@pytest.fixture
def seen_here(train_here: Callable[..., None], work: Path) -> Callable[..., manifest.Train]:
    """Return a function that loads a training's data and returns what the manifest would say."""

    def seen(config: Path, **overrides: Any) -> manifest.Train:
        from axolotl.cli.config import load_cfg
        from axolotl.integrations.base import PluginManager

        PluginManager.get_instance().plugins.clear()
        cfg = load_cfg(str(config), **overrides)
        plugin = PluginManager.get_instance().plugins["sft.training.plugin.InputTimePlugin"]
        plugin.load_datasets(cfg)
        plugin.record(cfg, work / "recorded")
        return manifest.read(work / "recorded").train

    return seen


@pytest.fixture
def built(work: Path) -> Callable[..., Path]:
    """Return a function that builds rows of our own into a folder, in this process."""

    def made(out: str, strategy: str = "random", rows: int = 16, **more: Any) -> Path:
        held, seed = more.pop("held_out", 0), more.pop("seed", 0)
        source = str(more.pop("source", ROOT / "sft" / "smoke.jsonl"))
        options = BuildOptions(source=source, rows=rows, held_out=held, **more)
        how = ContextOptions(strategy, Layout(), seed, Shelf(bank.load()))
        assert build(options, how, work / "data" / out)
        return work / "data" / out

    return made


@pytest.fixture(scope="session")
def data(work: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> Path:
    """64 rows of our own with random contexts."""
    made = run(
        "sft", "build", "--source", ROOT / "sft" / "smoke.jsonl", "--rows", 64,
        "--strategy", "random", "--out", "data/smoke-r",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return work / "data" / "smoke-r"


@pytest.fixture
def configured(work: Path, tiny: Path, data: Path) -> Callable[..., Path]:
    """Return a function that writes a training file for the tiny model, changed as told."""

    def written(
        name: str, base: str = "smoke-cpu", rows: str | None = None, **changes: Any
    ) -> Path:
        content = yaml.safe_load(render(named(base)))
        if rows is not None:
            content["datasets"][0]["path"] = f"data/{rows}/train.jsonl"
        content |= {
            "base_model": "models/tiny", "learning_rate": 5e-3, "num_epochs": 1,
            "output_dir": f"checkpoints/{name}", "dataset_prepared_path": f"prepared/{name}",
        }  # fmt: skip
        content |= changes
        path = work / f"{name}.yml"
        path.write_text(yaml.safe_dump(content), "utf-8")
        return path

    return written
