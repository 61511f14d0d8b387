"""One training row, token by token, with the labels that Axolotl gives it.

Needs Axolotl, and no GPU. What is trained must be the whole answer with its thinking and its end;
the question and its context must not be. No setting of the file is changed before it is shown.
"""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml
from rich.console import Console
from rich.text import Text

from ..errors import TrainingError
from .check import CAPABILITIES, TORCH
from .learnt import MASKED


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
        TrainingError: Axolotl is missing or refuses the file, or the tokenizer cannot be loaded.
    """
    os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
    try:
        from axolotl.loaders import load_tokenizer
        from axolotl.prompt_strategies import load
    except ImportError as error:
        raise TrainingError(f"needs axolotl ({error}): make train-env") from error
    cfg = _validated(config)
    named = cfg.tokenizer_config or cfg.base_model_config or cfg.base_model
    cfg.tokenizer_config, cfg.base_model_config = named, cfg.base_model_config or cfg.base_model
    try:
        tokenizer = load_tokenizer(cfg)
    except (OSError, ValueError) as error:
        key = "tokenizer_config" if named != cfg.base_model else "base_model"
        raise TrainingError(f"{config}: {key}: no tokenizer {named!r}: {error}") from error
    dataset = cfg.datasets[0]
    try:
        strategy = load(dataset.type, tokenizer, cfg, dataset)
        found = strategy.tokenize_prompt(row)
    except Exception as error:  # a template's own, Axolotl's, jinja2's: the file is what to mend
        raise TrainingError(
            f"{config}: datasets: the tokenizer {named!r} or its chat template refuses the row:"
            f" {error}"
        ) from error
    ids = list(found["input_ids"])
    return Labelled(ids, _texts(tokenizer, ids), [label != MASKED for label in found["labels"]])


def _validated(config: Path) -> Any:
    """Return the configuration as Axolotl completes it on a machine with GPUs."""
    from axolotl.utils.config import prepare_plugins, validate_config
    from axolotl.utils.dict import DictDefault

    cfg = DictDefault(copy.deepcopy(yaml.safe_load(config.read_text("utf-8"))))
    try:
        prepare_plugins(cfg)
        return validate_config(cfg, capabilities=CAPABILITIES, env_capabilities=TORCH)
    except Exception as error:  # pydantic's, Axolotl's and our own
        raise TrainingError(f"{config}: refused: {error}") from error


def show(config: Path, number: int, console: Console) -> None:
    """Print row `number` (from 1) of the file's data, what is trained in green.

    Raises:
        TrainingError: it is no training file, or there is no such row.
    """
    found = label(config, _row(_data(config), number))
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


def _data(config: Path) -> Path:
    try:
        content = yaml.safe_load(config.read_text("utf-8"))
        return Path(content["datasets"][0]["path"])
    except OSError as error:
        raise TrainingError(f"cannot read {config}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"{config}: no YAML: {' '.join(str(error).split())}") from error
    except (LookupError, TypeError) as error:
        raise TrainingError(f"{config}: datasets: names no file (datasets[0].path)") from error


def _row(data: Path, number: int) -> dict[str, Any]:
    try:
        lines = data.read_bytes().splitlines()
        row: dict[str, Any] = msgspec.json.decode(lines[number - 1], type=dict[str, Any])
    except OSError as error:
        raise TrainingError(
            f"cannot read {data}: {error.strerror}; the file's first lines say how it is built"
        ) from error
    except (IndexError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{data}: has no row {number} ({error})") from error
    return row


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
