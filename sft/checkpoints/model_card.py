"""A checkpoint's README.md, which the hub shows as its model card, written from its manifest."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomlkit

from its import manifest
from its.files import atomic_write
from its.manifest import Manifest

from ..errors import CheckpointError

NAME = "README.md"
OURS = "<!-- Written by `its-sft card` from input_time.json. -->"
AXOLOTL = "generated automatically according to the information the Trainer had access to"
CONFIG = re.compile(r"<details><summary>See axolotl config</summary>.*?</details>", re.DOTALL)


def write(checkpoint: Path, licence: str | None) -> Path:
    """Write the card into the folder of a checkpoint; return its file.

    Raises:
        CheckpointError: somebody else wrote the README.md that is there.
        ManifestError: there is no manifest, or a broken one.
    """
    found = manifest.read(checkpoint)
    file = checkpoint / NAME
    before = file.read_text("utf-8") if file.is_file() else ""
    if before and OURS not in before and AXOLOTL not in before:
        raise CheckpointError(
            f"{file}: was not written by this tool or Axolotl; take it away first"
        )
    settings = CONFIG.search(before)
    atomic_write(file, card(found, checkpoint.resolve().name, licence, settings and settings[0]))
    return file


def card(found: Manifest, name: str, licence: str | None, settings: str | None) -> str:
    """Return the card (Markdown with the hub's front matter)."""
    sections = [
        _front(found, licence), OURS, f"# {name}\n\n{_summary(found)}",
        "## How to ask it\n\n" + _asking(found, name),
        "## How it was trained\n\n" + _table(_facts(found)),
        *([settings] if settings else []),
    ]  # fmt: skip
    return "\n\n".join(sections) + "\n"


def _front(found: Manifest, licence: str | None) -> str:
    keys = {
        "base_model": found.base_model,
        "library_name": "transformers",
        "license": licence,
        "tags": ["input-time-scaling", f"train-strategy-{found.train.strategy}"],
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in keys.items() if value]
    return "\n".join(["---", *lines, "---"])


def _summary(found: Manifest) -> str:
    train = found.train
    told = f"{found.base_model}, fine-tuned for Input-Time Scaling (arXiv 2508.13654)"
    if train.dataset:
        rows = f" ({train.dataset.rows:,} rows)" if train.dataset.rows else ""
        told += f" on {train.dataset.name}{rows}"
    if not train.has_context:
        return f"{told}. No context stood with its training questions: ask it without one."
    return (
        f"{told}. A context, chosen with the strategy `{train.strategy}`, stood {train.placement}"
        " each training question. **Ask it with a context too.**"
    )


def _asking(found: Manifest, name: str) -> str:
    bare = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    member = {"engine": "a", "model": name, "manifest": "FOLDER"}
    return (
        "`input_time.json` in this repository says how. With the proxy of Input-Time Scaling, which"
        " reads it, adds the context and refuses to ask the model otherwise. FOLDER is this"
        " repository, downloaded:\n\n"
        f"```toml\n{tomlkit.dumps({'members': {bare: member}})}```\n\n"
        f"Test strategy: `{found.test_strategy}`."
    )


def _facts(found: Manifest) -> Iterator[tuple[str, str]]:
    """Yield every value of the manifest with its key, so that the card leaves out nothing."""
    yield "base model", found.base_model
    plain = msgspec.to_builtins(found)
    for part in ("train", "test"):
        for key, value in _flat(plain[part], part):
            yield key.replace("_", " "), value


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}: {name}")
    elif value is not None:
        yield key, json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value}"


def _table(rows: Iterator[tuple[str, str]]) -> str:
    escaped = ((key, value.replace("|", "\\|")) for key, value in rows)
    return "\n".join(["| | |", "| --- | --- |", *(f"| {key} | `{v}` |" for key, v in escaped)])
