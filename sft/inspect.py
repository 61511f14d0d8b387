"""One training row, token by token, with the labels that Axolotl gives it.

Needs Axolotl, and no GPU. What is trained must be the whole answer with its thinking and its end;
the question and its context must not be.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml
from rich.console import Console
from rich.text import Text

from .check import CheckError

MASKED = -100


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row as the trainer sees it: token ids, their texts, and whether each is trained."""

    ids: Sequence[int]
    texts: Sequence[str]
    trained: Sequence[bool]

    @property
    def learnt(self) -> str:
        """Return the text that is trained."""
        return "".join(t for t, on in zip(self.texts, self.trained, strict=True) if on)

    @property
    def masked(self) -> str:
        """Return the text that is not."""
        return "".join(t for t, on in zip(self.texts, self.trained, strict=True) if not on)


def label(config: Path, row: dict[str, Any]) -> Labelled:
    """Return `row` as a training by the file `config` sees it.

    Raises:
        CheckError: Axolotl is missing, or the file names no tokenizer that can be loaded.
    """
    os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
    try:
        from axolotl.prompt_strategies import load
        from axolotl.utils.dict import DictDefault
        from transformers import AutoTokenizer
    except ImportError as error:
        raise CheckError(f"needs axolotl ({error}): make train-env") from error
    cfg = DictDefault(yaml.safe_load(config.read_text("utf-8")))
    try:
        tokenizer = AutoTokenizer.from_pretrained(cfg.base_model)
    except (OSError, ValueError) as error:
        raise CheckError(f"{config}: base_model: {error}") from error
    template = cfg.chat_template_jinja
    if template:
        tokenizer.chat_template = Path(template).read_text("utf-8")
    cfg.train_on_inputs = False
    dataset = cfg.datasets[0]
    strategy = load(dataset.type, tokenizer, cfg, dataset)
    found = strategy.tokenize_prompt(row)
    ids = list(found["input_ids"])
    return Labelled(ids, _texts(tokenizer, ids), [label != MASKED for label in found["labels"]])


def show(config: Path, number: int, console: Console) -> None:
    """Print row `number` (from 1) of the file's data, what is trained in green.

    Raises:
        CheckError: it is no training file, or there is no such row.
    """
    try:
        cfg = yaml.safe_load(config.read_text("utf-8"))
        data = Path(cfg["datasets"][0]["path"])
    except (OSError, yaml.YAMLError, LookupError, TypeError) as error:
        why = " ".join(str(error).split())
        raise CheckError(f"{config}: no Axolotl file with datasets: {why}") from error
    try:
        lines = data.read_bytes().splitlines()
        row = msgspec.json.decode(lines[number - 1])
    except OSError as error:
        raise CheckError(
            f"cannot read {data}: {error.strerror}; the file's first lines say how it is built"
        ) from error
    except (IndexError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CheckError(f"{data}: has no row {number} ({error})") from error
    found = label(config, row)
    shown = Text()
    for text, on in zip(found.texts, found.trained, strict=True):
        shown.append(_visible(text), "green" if on else "dim")
        shown.append("|", "bright_black")
    console.print(shown)
    learnt = sum(found.trained)
    masked = len(found.ids) - learnt
    console.print(
        f"\n{len(found.ids):,} tokens: {learnt:,} trained (green), {masked:,} masked (dim)"
    )


def _texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Return each token's text; they join to the whole text even where a character is split."""
    texts, before = [], ""
    for end in range(1, len(ids) + 1):
        whole = tokenizer.decode(ids[max(0, end - 16) : end])
        last = tokenizer.decode(ids[max(0, end - 16) : end - 1])
        before = whole[len(last) :] if whole.startswith(last) else whole[-1:]
        texts.append(before)
    return texts


def _visible(text: str) -> str:
    return text.replace("\n", "⏎\n")
