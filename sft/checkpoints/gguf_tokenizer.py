"""The Hugging Face tokenizer of a GGUF file, made from the file itself: transformers' own loader
takes the end-of-text token of Llama files for their begin-of-text token."""

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
END_OF_TEXT = "<|endoftext|>"


def _qwen2() -> Any:
    rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(WORDS), "isolated"), rest])


def _smollm() -> Any:
    rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), rest])


SPLITS = {"qwen2": _qwen2, "smollm": _smollm}
"""How text is cut before bytes are paired, by the file's own name for it."""


def write(model: Path, folder: Path) -> Path:
    """Write the tokenizer of `model` to `folder`: byte-level BPE of SmolLM2's or Qwen2's kind.

    Raises:
        ValueError: it is of another kind.
    """
    reader = GGUFReader(str(model))

    def get(key: str) -> Any:
        field = reader.fields.get(f"tokenizer.{key}")
        return field.contents() if field else None

    tokens, kinds, kind = get("ggml.tokens"), get("ggml.token_type"), get("ggml.pre")
    if get("ggml.model") != "gpt2" or kind not in SPLITS:
        raise ValueError(f"{model}: its tokenizer is {kind!r}; those known are {', '.join(SPLITS)}")
    merges = [tuple(merge.split(" ")) for merge in get("ggml.merges")]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    made.decoder = decoders.ByteLevel()
    if kind == "qwen2":
        made.normalizer = normalizers.NFC()
    made.pre_tokenizer = SPLITS[kind]()
    made.add_tokens(
        [
            AddedToken(token, normalized=False, special=kind == CONTROL)
            for token, kind in zip(tokens, kinds, strict=True)
            if kind in (CONTROL, USER_DEFINED) and not token.startswith("[PAD")
        ]
    )
    eos = tokens[get("ggml.eos_token_id")]
    pad = get("ggml.padding_token_id")
    named = {"eos_token": eos, "pad_token": eos if pad is None else tokens[pad]}
    if named["pad_token"] == eos and END_OF_TEXT in tokens:
        named["pad_token"] = END_OF_TEXT  # padding is masked in training; an end is not
    if kind != "qwen2" and (bos := get("ggml.bos_token_id")) is not None:
        named["bos_token"] = tokens[bos]  # Qwen has none, whatever the file says
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, clean_up_tokenization_spaces=False, **named
    )
    tokenizer.chat_template = get("chat_template")
    tokenizer.save_pretrained(folder)
    return folder
