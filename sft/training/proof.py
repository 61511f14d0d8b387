"""Axolotl's loaded data, proved to be the file's: what it prepared, or found prepared.

Needs Axolotl. The texts are rendered anew by the same template and tokenized in one go, which takes
seconds where preparing them takes minutes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from ..errors import TrainingError
from . import learnt, seen
from .seen import Chat, Rows

ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Proof:
    """What the trainer holds, proved: its rows, those that only measure it, and a hash of them."""

    rows_trained: int
    rows_held_out: int
    tokens_sha256: str


def prove(cfg: Any, train: Rows, held: Rows | None, tokenizer: Any) -> Proof:
    """Hold Axolotl's rows to the files that `cfg` names; `held` are its rows for the eval loss.

    Raises:
        TrainingError: they differ, or something else than the answers is learnt.
    """
    # `val_set_size` takes the rows for the eval loss out of `datasets`; `test_datasets` are others.
    split = held if held is not None and not cfg.get("test_datasets") else None
    _check(cfg, "datasets", _Both(train, split) if split is not None else train, tokenizer)
    if held is not None and split is None:
        _check_held(cfg, train, held, tokenizer)
    return Proof(len(train), len(split) if split is not None else 0, seen.tokens_sha256(train))


def _check_held(cfg: Any, train: Rows, held: Rows, tokenizer: Any) -> None:
    files = cfg["test_datasets"]
    if len(files) == 1 and Path(str(files[0]["path"])).is_file():
        _check(cfg, "test_datasets", held, tokenizer)
    known = {seen.digest(row["input_ids"]) for row in train}
    both = sum(seen.digest(row["input_ids"]) in known for row in held)
    if both:
        raise TrainingError(
            f"test_datasets: {both:,} of its {len(held):,} rows are trained on too, so its loss"
            " says nothing; name the file heldout.jsonl of `its-sft build --hold-out N`"
        )


def _check(cfg: Any, key: str, rows: Rows, tokenizer: Any) -> None:
    path = Path(str(cfg[key][0]["path"]))
    kept = seen.compare(
        rows, chats(cfg, cfg[key][0], path, tokenizer), str(path), int(cfg["sequence_len"]),
        tokenizer,
    )  # fmt: skip
    learnt.check(rows, kept, stops(cfg, tokenizer), tokenizer)


class _Both:
    """The rows of two data sets."""

    def __init__(self, one: Rows, two: Rows) -> None:
        self._one, self._two = one, two

    def __len__(self) -> int:
        return len(self._one) + len(self._two)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self._one[index] if index < len(self._one) else self._two[index - len(self._one)]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        yield from self._one
        yield from self._two


def chats(cfg: Any, dataset: Any, path: Path, tokenizer: Any) -> Iterator[Chat]:
    """Yield the rows of the file at `path` as the template of the training writes them.

    Raises:
        TrainingError: the data set's type is none that renders chats.
    """
    from axolotl.prompt_strategies import load

    strategy = load(dataset["type"], tokenizer, cfg, dataset)
    if not hasattr(strategy, "get_conversation_thread"):
        raise TrainingError(f"datasets: type is {dataset['type']!r}; it must be chat_template")
    with path.open("rb") as file:
        lines = ((n, line) for n, line in enumerate(file, 1) if line.strip())
        while some := list(islice(lines, ROWS_AT_ONCE)):
            rows = [msgspec.json.decode(line) for _, line in some]
            texts = [_text(strategy, row) for row in rows]
            ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
            for (number, _), row, tokens in zip(some, rows, ids, strict=True):
                yield Chat(number, tokens, _answers(row))


def _text(strategy: Any, row: Mapping[str, Any]) -> str:
    from axolotl.utils.dict import remove_none_values

    # Axolotl's tokenize_prompt does it too: the data set library fills absent keys with None.
    turns = strategy.get_conversation_thread(remove_none_values(row))
    text: str = strategy.prompter.build_prompt_text(turns)
    return text


def _answers(row: Mapping[str, Any]) -> list[str]:
    return [turn["content"] for turn in row["messages"] if turn["role"] == "assistant"]


def stops(cfg: Any, tokenizer: Any) -> set[int]:
    """Return the tokens at which engines stop: the tokenizer's end, and the base model's own."""
    from transformers import GenerationConfig

    found = {tokenizer.eos_token_id} - {None}
    try:
        ends = GenerationConfig.from_pretrained(str(cfg["base_model"])).eos_token_id
    except OSError:  # the base has none, or it is not here: then the tokenizer says it alone
        ends = None
    return found | set(ends if isinstance(ends, list) else [ends] if ends is not None else [])


def check_same_everywhere(sha256: str) -> None:
    """Compare this process's rows with the others': machines may have copies of other folders.

    Raises:
        TrainingError: they are not the same.
    """
    from torch import distributed as group

    if not (group.is_available() and group.is_initialized()):
        return
    # A collective call: if one process raised before this line, the others would wait for it here
    # until the group's own time limit.
    found: list[str] = [""] * group.get_world_size()
    group.all_gather_object(found, sha256)
    if len(set(found)) > 1:
        told = ", ".join(f"{rank}: {each[:12]}" for rank, each in enumerate(found))
        raise TrainingError(
            f"the processes hold different rows (process: hash of its tokens): {told}. Give every"
            " machine the same data and the same training file"
        )
