"""A checkpoint that was exported is the same model: the same tokens, the same greedy text."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from gguf import MODEL_ARCH
from rich.console import Console

from proxy.tools import models
from sft.checkpoints import gguf_model, gguf_vocabulary
from sft.checkpoints.export import export
from sft.errors import CheckpointError
from tests.conftest import ROOT

Run = Callable[..., Any]

SUMS = [(number, number + 18) for number in range(3, 13)]
QUESTIONS = [
    *(f"What is {a} + {b}? Answer with the number." for a, b in SUMS),
    "Name the capital of France.", "Write a haiku about rain.", "Why is the sky blue?",
    "Translate 'good morning' to Spanish.", "List three primary colours.",
    "def add(a, b): complete this Python function.", "Is 91 a prime number? Explain shortly.",
    "Write one sentence about bees.", "What comes after Tuesday?", "Give a synonym of 'quick'.",
]  # fmt: skip
NEAR = 0.1
"""Logits of two tokens up to which rounding in f16 may choose either."""


KEY = "tests"


@contextmanager
def served(model: Path) -> Iterator[httpx.Client]:
    """Serve a GGUF file as the proxy's embedded engine does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy.engines.embedded", model],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdin.write(f"{KEY}\n")
        process.stdin.flush()
        url = next(line for line in process.stdout if line.startswith("http://")).strip()
        headers = {"authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, headers=headers, timeout=300, trust_env=False) as client:
            while client.get("/health").status_code != 200:
                time.sleep(0.05)
            yield client
    finally:
        process.communicate(timeout=30)


def strings(tokenizer: Any, number: int) -> list[str]:
    """Return texts of every kind that tokenizers have got wrong, the same ones in every run."""
    rng = Random(0)
    special = [token.content for token in tokenizer.added_tokens_decoder.values()]
    pieces: list[Callable[[], str]] = [
        lambda: "".join(chr(rng.randint(33, 126)) for _ in range(rng.randint(1, 12))),
        lambda: str(rng.randint(0, 10 ** rng.randint(1, 15))),
        lambda: rng.choice([" ", "  ", "\t", "\n", "\r\n", "\n\n\n", " \n ", "\u00a0", "\u3000"]),
        lambda: rng.choice(["the", " answer", "It's", "WE'LL", " don't", "naïve", "straße", " ﬁ"]),
        lambda: rng.choice(["日本語", "привет", "مرحبا", "שלום", "हिन्दी", "한국어", "ไทย"]),
        lambda: rng.choice(["🙂", "👩‍👩‍👧‍👦", "🇫🇷", "½", "Ⅷ", "²", "٣٤", "①", "∑", "√2", "\u200b"]),
        lambda: rng.choice(["for i in x:\n    x += i\n", "<div>&amp;</div>", "\\frac{1}{2}"]),
        lambda: rng.choice(special),
        lambda: rng.choice(["<|im_", "|>", "</think>", "<think>", "<", "im_end|>", "[PAD3]"]),
    ]  # fmt: skip
    return ["".join(rng.choice(pieces)() for _ in range(rng.randint(1, 8))) for _ in range(number)]


def tokens(client: httpx.Client, text: str) -> list[int]:
    sent = {"content": text, "add_special": False, "parse_special": True}
    found: list[int] = client.post("/tokenize", json=sent).json()["tokens"]
    return found


def differing(client: httpx.Client, tokenizer: Any, texts: list[str]) -> list[str]:
    return [
        text
        for text in texts
        if tokens(client, text) != tokenizer(text, add_special_tokens=False).input_ids
    ]


def answer(client: httpx.Client, prompt: list[int], number: int) -> list[int]:
    """Return llama.cpp's greedy continuation of the tokens `prompt`."""
    sent = {
        "prompt": prompt, "n_predict": number, "temperature": 0.0, "return_tokens": True,
        "cache_prompt": False,
    }  # fmt: skip
    found: list[int] = client.post("/completion", json=sent).json()["tokens"]
    return found


def gap(model: Any, prompt: list[int], ours: list[int], theirs: list[int]) -> float:
    """Return how far apart the logits of the first two tokens that differ are; 0 if none does."""
    import torch

    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
    if at is None:
        return 0.0
    with torch.no_grad():
        logits = model(torch.tensor([prompt + ours[:at]])).logits[0, -1]
    return float((logits[ours[at]] - logits[theirs[at]]).abs())


def prompts(tokenizer: Any) -> list[list[int]]:
    found = []
    for question in QUESTIONS:
        chat = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        found.append(tokenizer(text, add_special_tokens=False).input_ids)
    return found


def compared(client: httpx.Client, folder: Path, number: int) -> list[float]:
    """Return, for each question whose greedy texts differ, the gap at the first difference."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    gaps = []
    for prompt in prompts(tokenizer):
        made = model.generate(
            torch.tensor([prompt]), max_new_tokens=number, do_sample=False,
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        )[0, len(prompt) :].tolist()  # fmt: skip
        found = answer(client, prompt, number)
        ends = set(model.generation_config.eos_token_id)
        ours, theirs = ([t for t in each if t not in ends] for each in (made, found))
        if ours != theirs:
            gaps.append(gap(model, prompt, ours, theirs))
    return gaps


@pytest.fixture(scope="session")
def real(run: Run, work: Path) -> Callable[[str], Path]:
    """Return a function that makes a checkpoint of a model that can be had by its hash."""

    def made(name: str) -> Path:
        folder = work / "models" / f"real-{name}"
        if not folder.is_dir():
            file = models.find(name, lambda message, done, total: None)
            ended = run("sft", "convert", file, folder, "--dtype", "float32")
            assert ended.returncode == 0, ended.stderr
        return folder

    return made


@pytest.mark.parametrize(
    "name", ["smollm2-135m", pytest.param("qwen2.5-coder-0.5b", marks=pytest.mark.download)]
)
def test_an_exported_model_is_the_model(
    name: str, run: Run, real: Callable[[str], Path], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    folder, file = real(name), tmp_path / f"{name}.gguf"
    ended = run("sft", "export", folder, "--gguf", file)
    assert ended.returncode == 0, ended.stderr
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with served(file) as client:
        assert differing(client, tokenizer, strings(tokenizer, 1000)) == []
        gaps = compared(client, folder, 16)
    assert len(gaps) <= 2, gaps
    assert max(gaps, default=0.0) <= NEAR


YARN = {
    "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-biases-untied": ("llama", {"attention_bias": True, "tie_word_embeddings": False}),
    "llama-of-llama3": ("llama", {"rope_parameters": LLAMA3}),
    "llama-wide-heads": ("llama", {"head_dim": 32}),
    "qwen2": ("qwen2", {}),
    "qwen2-untied-yarn": ("qwen2", {"tie_word_embeddings": False, "rope_parameters": YARN}),
    "qwen3": ("qwen3", {"head_dim": 32}),
}


def make(folder: Path, kind: str, tokenizer: Any, **changes: Any) -> Path:
    """Write a small random model whose logits are far apart, so that every mistake shows."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(1)
    settings = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 128, "tie_word_embeddings": True, "initializer_range": 0.3,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id, "rope_parameters": {
            "rope_type": "default", "rope_theta": 1e4,
        },
    }  # fmt: skip
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(settings | changes)))
    for name, values in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(values, std=0.5)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm(tokenizers: dict[str, Path]) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tokenizers["smollm2-135m"])


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_a_family_is_written_right(shape: str, smollm: Any, tmp_path: Path) -> None:
    kind, changes = SHAPES[shape]
    folder = make(tmp_path / "model", kind, smollm, **changes)
    export(folder, tmp_path / "model.gguf", "f16", Console(quiet=True))
    with served(tmp_path / "model.gguf") as client:
        gaps = compared(client, folder, 16)
    assert len(gaps) <= 5, "a random model's best tokens are closer together than a trained one's"
    assert max(gaps, default=0.0) <= NEAR


def test_a_mistake_in_the_order_of_heads_would_show(
    smollm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: without the reordering of Q and K the model is another."""
    folder = make(tmp_path / "model", "llama", smollm)
    unpaired = {"LlamaForCausalLM": gguf_model.Family(MODEL_ARCH.LLAMA)}
    monkeypatch.setattr(gguf_model, "FAMILIES", unpaired)
    export(folder, tmp_path / "model.gguf", "f16", Console(quiet=True))
    with served(tmp_path / "model.gguf") as client:
        assert len(compared(client, folder, 16)) > 10


@pytest.mark.parametrize("split", ["qwen2", "llama-bpe", "gpt-2"])
def test_every_known_way_to_cut_a_text_is_llama_cpp_s_too(
    split: str, smollm: Any, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    folder = make(tmp_path / "model", "llama", smollm)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["pre_tokenizer"] = cut(split)
    content["model"]["ignore_merges"] = split == "llama-bpe"
    file.write_text(json.dumps(content))
    export(folder, tmp_path / "model.gguf", "q8_0", Console(quiet=True))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with served(tmp_path / "model.gguf") as client:
        assert differing(client, tokenizer, strings(tokenizer, 1000)) == []


def cut(split: str) -> dict[str, Any]:
    """Return the pre-tokenizer of the family that llama.cpp calls `split`."""
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    if split == "gpt-2":
        return {**plain, "use_regex": True}
    pattern = next(regex for regex, name in gguf_vocabulary.SPLITS.items() if name == split)
    steps = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        {**plain, "use_regex": False},
    ]
    return {"type": "Sequence", "pretokenizers": steps}


def test_q8_0_is_close_and_half_as_large(smollm: Any, tmp_path: Path) -> None:
    folder = make(tmp_path / "model", "llama", smollm)
    for kind in ("f16", "q8_0"):
        export(folder, tmp_path / f"{kind}.gguf", kind, Console(quiet=True))
    large, small = ((tmp_path / f"{k}.gguf").stat().st_size for k in ("f16", "q8_0"))
    vocabulary = 2_500_000
    assert (small - vocabulary) < 0.6 * (large - vocabulary)
    with served(tmp_path / "q8_0.gguf") as client:
        assert len(compared(client, folder, 1)) <= 4, "the first token is nearly always the same"


def test_shards_are_one_model(smollm: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = make(tmp_path / "model", "qwen2", smollm)
    whole, parts = tmp_path / "whole.gguf", tmp_path / "parts.gguf"
    export(folder, whole, "f16", Console(quiet=True))
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="1MB")
    assert (folder / "model.safetensors.index.json").is_file()
    export(folder, parts, "f16", Console(quiet=True))
    assert whole.read_bytes() == parts.read_bytes()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hidden_act": "gelu"}, "hidden_act: is 'gelu'"),
        ({"use_sliding_window": True}, "use_sliding_window: is True"),
        ({"architectures": ["MistralForCausalLM"]}, "architectures: is ['MistralForCausalLM']"),
        ({"tie_word_embeddings": False}, "lm_head.weight is missing"),
        ({"vocab_size": 100}, "the embedding has 100 rows"),
        (
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "rope_parameters: is 'dynamic'",
        ),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    changes: dict[str, Any], told: str, smollm: Any, tmp_path: Path
) -> None:
    folder = make(tmp_path / "model", "qwen2", smollm)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(CheckpointError, match=re.escape(told)):
        export(folder, tmp_path / "model.gguf", "f16", Console(quiet=True))
    assert not list(tmp_path.glob("*.gguf*")), "nothing half is left"


def test_weights_that_f16_cannot_hold_are_refused(smollm: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make(tmp_path / "model", "llama", smollm)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        CheckpointError, match=re.escape("blk.0.ffn_up.weight: has values that f16")
    ):
        export(folder, tmp_path / "model.gguf", "f16", Console(quiet=True))
