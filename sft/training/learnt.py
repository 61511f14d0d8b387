"""What a trainer learns from a row, held against the answers: each answer, and the end of its turn.

Templates and settings change it without a sign: R1's own template deletes the thinking, a wrong
`eos_token` leaves the end of the turn unlearnt, and `train_on_inputs` learns the question too.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import TrainingError
from .seen import Chat, Rows, Tokenizer, digest, sample, text_of

MASKED = -100
"""The label of a token that is not learnt."""

SHOWN = 300
"""Characters of each side that an error shows."""


def check(rows: Rows, chats: Sequence[Chat], stops: Collection[int], tokenizer: Tokenizer) -> None:
    """Check a sample of `rows`, whose texts are `chats`; `stops` are the tokens that end a turn.

    Raises:
        TrainingError: something else is learnt; the message shows the row.
    """
    known = {digest(chat.ids): chat for chat in chats}
    for index in sample(len(rows)):
        row = rows[index]
        chat = known.get(digest(row["input_ids"]))
        if chat is not None and (fault := _fault(row, chat, stops, tokenizer)):
            raise TrainingError(_told(row, chat, fault, tokenizer))


def _fault(
    row: Mapping[str, Any], chat: Chat, stops: Collection[int], tokenizer: Tokenizer
) -> str | None:
    """Say what is wrong with what is learnt from a row; `None` if nothing is."""
    runs = _runs(row["labels"])
    if not runs:
        return "nothing is learnt"
    answers = chat.answers[-len(runs) :]  # all of the assistant's turns, or the last ones
    ids = row["input_ids"]
    if len(answers) < len(runs):
        return (
            "more than the answer is learnt, or not in one piece. Look at train_on_inputs,"
            " roles_to_train, eot_tokens and special_tokens: eos_token"
        )
    for answer, (begin, end) in zip(answers, runs, strict=True):
        last = ids[end - 1]
        marked = last in stops or last in tokenizer.all_special_ids
        if not _same(answer, ids[begin : end - marked], tokenizer):
            return (
                "the learnt text is not the answer. The chat template changes it: name one that"
                " keeps every word, such as those in sft/templates, as chat_template_jinja"
            )
        if last not in stops:
            return _no_end(ids, end, stops, tokenizer)
    return None


def _no_end(ids: Sequence[int], end: int, stops: Collection[int], tokenizer: Tokenizer) -> str:
    last = text_of(tokenizer, ids[end - 1 : end])
    after = text_of(tokenizer, ids[end : end + 3])
    known = ", ".join(repr(text_of(tokenizer, [stop])) for stop in sorted(stops))
    return (
        f"the end of the turn is not learnt: the last learnt token is {last!r}, {after!r} follows,"
        f" and engines stop at {known}. Look at special_tokens: eos_token, eot_tokens, train_on_eos"
    )


def _same(answer: str, ids: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Compare but for outer spaces: templates trim them, and they may merge into other tokens."""
    learnt = text_of(tokenizer, ids).strip()
    if learnt == answer.strip():
        return True
    # A tokenizer that normalises text (Qwen's: NFC) gives back another one than it was given.
    again = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return learnt == text_of(tokenizer, again).strip()


def _runs(labels: Sequence[int]) -> list[tuple[int, int]]:
    """Return begin and end of every run of learnt tokens."""
    on = np.concatenate(([False], np.asarray(labels) != MASKED, [False]))
    edges = np.flatnonzero(on[1:] != on[:-1])
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _told(row: Mapping[str, Any], chat: Chat, fault: str, tokenizer: Tokenizer) -> str:
    ids, labels = row["input_ids"], row["labels"]
    learnt = text_of(tokenizer, [i for i, on in zip(ids, labels, strict=True) if on != MASKED])
    return (
        f"line {chat.line}: {fault}.\n  the row:    {_short(text_of(tokenizer, ids))}\n"
        f"  is learnt:  {_short(learnt)}\n  the answer: {_short(chat.answers[-1])}"
    )


def _short(text: str) -> str:
    if len(text) <= SHOWN:
        return repr(text)
    return f"{text[: SHOWN // 2]!r} ... {text[-SHOWN // 2 :]!r}"
