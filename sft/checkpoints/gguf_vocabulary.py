"""The tokenizer of a Hugging Face checkpoint, as llama.cpp wants it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from ..errors import CheckpointError
from .gguf_tokenizer import WORDS

LLAMA3 = WORDS.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
"""Llama 3 keeps up to three digits together; all else is as in Qwen2's pattern."""

SPLITS = {WORDS: "qwen2", LLAMA3: "llama-bpe"}
"""What llama.cpp calls a pattern by which text is cut before bytes are paired."""

BYTES = "ByteLevel"


def add(writer: GGUFWriter, folder: Path, tokenizer: Any, rows: int, ends: list[int]) -> None:
    """Add the tokenizer in `folder`; `rows` is the number of the embedding's rows.

    `ends` are the tokens that end an answer by generation_config.json; the first that is not the
    tokenizer's own becomes llama.cpp's second one.

    Raises:
        CheckpointError: it is no byte-level BPE that llama.cpp knows, or it is larger than the
            embedding.
    """
    content = _content(folder)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split_of(content, folder))
    tokens, kinds = _tokens(content, rows, folder)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([_merge(pair) for pair in content["model"]["merges"]])
    for name, number in (
        ("bos", tokenizer.bos_token_id),
        ("eos", tokenizer.eos_token_id),
        ("pad", tokenizer.pad_token_id),
        ("eot", next((end for end in ends if end != tokenizer.eos_token_id), None)),
    ):
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    first = tokenizer("a").input_ids[:1]
    writer.add_add_bos_token(bool(first) and first[0] == tokenizer.bos_token_id)
    writer.add_add_space_prefix(False)
    if not tokenizer.chat_template:
        raise CheckpointError(f"{folder}: its tokenizer has no chat template")
    writer.add_chat_template(tokenizer.chat_template)


def split_of(content: Mapping[str, Any], folder: Path) -> str:
    """Return llama.cpp's name for how the tokenizer cuts a text.

    Raises:
        CheckpointError: no name of llama.cpp's means the same.
    """
    steps, model = _steps(content), content["model"]
    kinds = [step["type"] for step in steps]
    found = _split(steps, kinds) if model["type"] == "BPE" else None
    # llama.cpp takes a whole word that is a token as it is for Llama 3, and for no other of these.
    whole = bool(model.get("ignore_merges"))
    if found is None or model.get("byte_fallback") or whole != (found == "llama-bpe"):
        raise CheckpointError(
            f"{folder / 'tokenizer.json'}: {model['type']} with pre_tokenizer"
            f" {' + '.join(kinds) or 'none'} is not one that can be exported; byte-level BPE as in"
            " SmolLM2, GPT-2, Qwen2 and Llama 3 can"
        )
    return found


def _split(steps: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> str | None:
    if kinds == ["Digits", BYTES] and steps[0]["individual_digits"] and steps[1]["use_regex"]:
        return "smollm"
    if kinds == [BYTES] and steps[0]["use_regex"]:
        return "gpt-2"
    if kinds == ["Split", BYTES] and not steps[1]["use_regex"]:
        return SPLITS.get(steps[0]["pattern"].get("Regex"))
    return None


def _steps(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = content.get("pre_tokenizer") or {"type": "Sequence", "pretokenizers": []}
    return list(found["pretokenizers"]) if found["type"] == "Sequence" else [found]


def _content(folder: Path) -> Mapping[str, Any]:
    path = folder / "tokenizer.json"
    try:
        found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    return found


def _tokens(
    content: Mapping[str, Any], rows: int, folder: Path
) -> tuple[list[str], list[TokenType]]:
    """Return every row's token and its kind; rows that no token uses are filled."""
    tokens = [f"[PAD{number}]" for number in range(rows)]
    kinds = [TokenType.UNUSED] * rows
    for each in content["added_tokens"]:
        if each["lstrip"] or each["rstrip"] or each["single_word"]:
            raise CheckpointError(
                f"{folder / 'tokenizer.json'}: added token {each['content']!r} swallows the spaces"
                " beside it (lstrip, rstrip or single_word), which llama.cpp would not do"
            )
    added = [(each["content"], each["id"], each["special"]) for each in content["added_tokens"]]
    plain = [(token, number, None) for token, number in content["model"]["vocab"].items()]
    for token, number, special in [*plain, *added]:
        if number >= rows:
            raise CheckpointError(
                f"{folder}: token {token!r} is number {number}, and the embedding has {rows} rows"
            )
        tokens[number] = token
        kinds[number] = {
            None: TokenType.NORMAL, True: TokenType.CONTROL, False: TokenType.USER_DEFINED,
        }[special]  # fmt: skip
    return tokens, kinds


def _merge(pair: str | list[str]) -> str:
    return pair if isinstance(pair, str) else " ".join(pair)
