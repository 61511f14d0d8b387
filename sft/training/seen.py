"""What the trainer saw, held against the file that it should have read.

A trainer takes its rows from a cache, drops some, cuts some, and asks a template what is learnt.
Here its rows are compared with the file's, token for token. Knows nothing of Axolotl.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import TrainingError

SAMPLE = 64
"""Rows whose learnt text is compared with their answers (`learnt`)."""

AROUND = 80
"""Characters shown before and after the first difference."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used."""

    @property
    def all_special_ids(self) -> Sequence[int]: ...

    def __call__(self, text: str, *, add_special_tokens: bool) -> Mapping[str, Any]: ...

    def decode(self, ids: Sequence[int], **options: Any) -> str: ...


class Rows(Protocol):
    """A data set as trainers hold one: rows with `input_ids` and `labels`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...

    def __iter__(self) -> Iterator[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Chat:
    """One row of the file: its line, the token ids of its text, and what the assistant says."""

    line: int
    ids: Sequence[int]
    answers: Sequence[str]


def compare(
    rows: Rows, chats: Iterable[Chat], name: str, most: int, tokenizer: Tokenizer
) -> list[Chat]:
    """Hold a trainer's rows to those of the file `name`; return the chats of a sample of them.

    `most` is the trainer's limit of tokens a row, which an error names.

    Raises:
        TrainingError: a row is missing, was added, or has another token.
    """
    held = [digest(row["input_ids"]) for row in rows]
    left, wanted = Counter(held), {held[index] for index in sample(len(held))}
    kept: list[Chat] = []
    lost = _Lost()
    for chat in chats:
        lost.lines += 1
        key = digest(chat.ids)
        if left[key] == 0:
            lost.add(chat, most)
            continue
        left[key] -= 1
        if key in wanted:
            kept.append(chat)
    added = next((index for index, key in enumerate(held) if left[key] > 0), None)
    if lost.count or added is not None:
        told = f"{name} has {lost.lines:,} rows, and the trainer holds {len(held):,}"
        other = None if added is None else text_of(tokenizer, rows[added]["input_ids"])
        raise TrainingError(told + _why(lost, other, most, tokenizer))
    return kept


@dataclass(slots=True)
class _Lost:
    """The file's rows that the trainer does not hold; only the first is kept."""

    lines: int = 0
    count: int = 0
    too_long: int = 0
    first: Chat | None = None

    def add(self, chat: Chat, most: int) -> None:
        self.first = self.first or chat
        self.count += 1
        self.too_long += len(chat.ids) > most


def _why(lost: _Lost, other: str | None, most: int, tokenizer: Tokenizer) -> str:
    """Show both sides; `other` is a row of the trainer's that the file does not have."""
    if lost.first is None:
        assert other is not None
        return f", of which this one is not in the file: {other[: 2 * AROUND]!r}"
    told = f"; {lost.count:,} of the file's are not among them"
    if lost.too_long:
        return (
            f"{told}, {lost.too_long:,} of these are longer than sequence_len ({most:,} tokens)."
            f" Build the data with --max-tokens {most} --tokenizer BASE_MODEL, so that every"
            " strategy leaves out the same rows"
        )
    ours, at = text_of(tokenizer, lost.first.ids), f"{told}. The first is line {lost.first.line}"
    if other is None:
        return f"{at}: {ours[: 2 * AROUND]!r}"
    ours, other = _around(ours, other)
    return f"{at}: the file has {ours!r} where the trainer has {other!r}"


def text_of(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Return the text of tokens, special ones included, as the model reads it."""
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _around(one: str, two: str) -> tuple[str, str]:
    """Return both texts near their first difference."""
    pairs = enumerate(zip(one, two, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(one), len(two)))
    near = slice(max(0, at - AROUND), at + AROUND)
    return one[near], two[near]


def tokens_sha256(rows: Rows) -> str:
    """Return the hash of all rows' token ids and labels, in hex: `tokens_sha256` of the manifest.

    Each row is hashed: its token ids and then its labels, as little-endian int32. The hash is that
    of the rows' hashes in sorted order, so that it is the same for every order of the rows.
    """
    each = sorted(
        hashlib.sha256(_bytes(row["input_ids"]) + _bytes(row["labels"])).digest() for row in rows
    )
    return hashlib.sha256(b"".join(each)).hexdigest()


def digest(ids: Sequence[int]) -> bytes:
    """Return what a row is known by: the hash of its token ids."""
    return hashlib.sha256(_bytes(ids)).digest()


def sample(rows: int) -> range:
    """Return the places of at most `SAMPLE` rows, evenly spread."""
    return range(0, rows, max(1, -(-rows // SAMPLE)))


def _bytes(ids: Sequence[int]) -> bytes:
    # A fixed width and byte order, so that the manifest's hash is the same on every machine.
    return np.asarray(ids, dtype="<i4").tobytes()
