"""Hashes of what decides a training: its configuration, and the data as the trainer prepares them.

Neither depends on the folder that the project lies in, nor on how a path is written.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

PLACES = frozenset({
    "output_dir", "dataset_prepared_path", "resume_from_checkpoint", "axolotl_config_path",
    "input_time_config_sha256",
})  # fmt: skip
"""Where things lie. They decide nothing about the weights."""

COMMAND = frozenset({
    "debug", "debug_text_only", "debug_num_examples", "prompter", "shard", "download", "iterable",
    "num_processes", "main_process_port", "is_preprocess",
})  # fmt: skip
"""Axolotl puts its command's own options among the configuration's keys."""

FILES = frozenset({"chat_template_jinja", "deepspeed"})
MODELS = frozenset({"base_model", "base_model_config", "tokenizer_config", "lora_model_dir"})

PREPARES = (
    "base_model", "base_model_config", "tokenizer_config", "tokenizer_type", "tokenizer_use_fast",
    "tokenizer_legacy", "revision_of_model", "added_tokens_overrides", "special_tokens", "tokens",
    "chat_template", "chat_template_jinja", "chat_template_kwargs", "default_system_message",
    "eot_tokens", "train_on_inputs", "sequence_len", "eval_sequence_len", "min_sample_len",
    "excess_length_strategy", "dataset_exact_deduplication", "shuffle_merged_datasets", "seed",
    "datasets", "test_datasets",
)  # fmt: skip
"""Keys that change the prepared rows. Axolotl's own hash of them leaves some out."""

WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".gguf", ".pth", ".h5", ".msgpack"})
TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "chat_template.jinja")


def config_sha256(cfg: Mapping[str, Any]) -> str:
    """Return the hash of a training's configuration: the file's keys and the command's overrides.

    A file that a key names counts by its content, a model's folder by its files. The data count
    elsewhere: the manifest has their own hash.
    """
    kept = {key: value for key, value in cfg.items() if key not in PLACES | COMMAND}
    return _sha256(_canonical(kept))


def prepared(cfg: Mapping[str, Any]) -> Path:
    """Return the folder of the prepared rows: `dataset_prepared_path`, and a hash of their content.

    Axolotl looks prepared rows up by a hash of the configuration alone, so it takes those of other
    content that once lay at the same path. Asked for its own result, this returns it unchanged.
    """
    base = Path(str(cfg.get("dataset_prepared_path") or "prepared"))
    keys = {key: cfg[key] for key in PREPARES if cfg.get(key) is not None}
    files = [
        _content(str(entry.get("path")))
        for key in ("datasets", "test_datasets")
        for entry in cfg.get(key) or ()
    ]
    name = "its-" + _sha256([_canonical(keys), files])[:24]
    return base if base.name == name else base / name


def _canonical(value: Any, key: str = "") -> Any:
    """Return `value` as JSON that is the same for two ways of writing it (`1e-5`, `0.00001`)."""
    if isinstance(value, Mapping):
        return {
            str(name): _canonical(item, str(name))
            for name, item in value.items()
            if item is not None and str(name) != "path"
        }
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_canonical(item, key) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if key in MODELS:
        return _model(text)
    if key in FILES:
        return _content(text)
    return _number(text)


def _number(text: str) -> str:
    # An override comes as text, and YAML reads `1e-5` as text too.
    try:
        return repr(float(text))
    except ValueError:
        return text.lower() if text.lower() in {"true", "false"} else text


def _content(path: str) -> str:
    """Return the hash of the file at `path`; of what is no file, the text itself."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # ValueError: a template's text may hold what no path may
        return path


def _model(name: str) -> Any:
    """Return what tells a model from another: a folder's files, or the hub's name of it.

    Weights count by their name and size, as reading 66 GB would take minutes. Of a model on the hub
    the tokenizer counts too, where it lies in the cache; nothing is downloaded.
    """
    folder = Path(name)
    if not folder.is_dir():
        return [name, *(_content(path) for path in _cached(name))]
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    return [[file.name, _mark(file)] for file in files]


def _mark(file: Path) -> str | int:
    return file.stat().st_size if file.suffix in WEIGHTS else _content(str(file))


def _cached(name: str) -> list[str]:
    try:
        from huggingface_hub import try_to_load_from_cache

        found = [try_to_load_from_cache(name, file) for file in TOKENIZER]
    except (ImportError, ValueError):  # ValueError: no hub repository has such a name
        return []
    return [path for path in found if isinstance(path, str)]


def _sha256(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
