"""The Hugging Face tokenizer of a GGUF file: what a checkpoint of that model is trained with."""

from pathlib import Path
from typing import Any

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's own pattern of what is tokenized apart."""

CONTROL, USER_DEFINED = 3, 4


def write(model: Path, folder: Path) -> Path:
    """Write the tokenizer of `model` (SmolLM2 or Qwen2.5) to `folder`."""
    reader = GGUFReader(str(model))

    def get(key: str) -> Any:
        field = reader.fields.get(f"tokenizer.{key}")
        return field.contents() if field else None

    tokens, kinds, kind = get("ggml.tokens"), get("ggml.token_type"), get("ggml.pre")
    merges = [tuple(merge.split(" ")) for merge in get("ggml.merges")]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    made.decoder = decoders.ByteLevel()
    split: Any
    if kind == "qwen2":
        made.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(WORDS), "isolated")
        rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    else:
        split = pre_tokenizers.Digits(individual_digits=True)
        rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, rest])
    made.add_tokens(
        [
            AddedToken(token, normalized=False, special=kind == CONTROL)
            for token, kind in zip(tokens, kinds, strict=True)
            if kind in (CONTROL, USER_DEFINED) and not token.startswith("[PAD")
        ]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=tokens[get("ggml.eos_token_id")]
    )
    tokenizer.chat_template = get("chat_template")
    tokenizer.save_pretrained(folder)
    return folder
