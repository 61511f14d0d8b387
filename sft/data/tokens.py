"""How many tokens a chat has, and whether it has room for the longest context of any strategy."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from its import prompts
from its.extras import needs
from its.types import Context, Layout, Message

from ..errors import DataError
from .examples import TrainingExample

LONGEST = 8
"""Contexts that are tried beside a question that may be too long: the longest ones."""

SLACK = 16
"""Tokens by which a context's own count may differ from what it adds to a question."""


class ChatTokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used."""

    chat_template: Any

    def apply_chat_template(self, messages: Any, **options: Any) -> Any: ...

    def decode(self, ids: Sequence[int]) -> str: ...


def load(name: str) -> ChatTokenizer:
    """Load the tokenizer in a folder, or of a hub repository.

    Raises:
        DataError: there is none, or it has no chat template.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # no model runs here: no torch
    try:
        from transformers import AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise DataError(needs("--tokenizer", "sft")) from error
    logging.set_verbosity_error()
    try:
        found: ChatTokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise DataError(f"--tokenizer {name}: {error}") from error
    if not found.chat_template:
        raise DataError(f"--tokenizer {name}: has no chat template")
    return found


class TokenCounter:
    """Counts the tokens of chats as the chat template of the tokenizer `name` writes them.

    Raises:
        DataError: there is no such tokenizer, or it has no chat template.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tokenizer: Any = load(name)

    def count(self, messages: Sequence[Message]) -> int:
        """Return the tokens of the whole chat.

        Raises:
            DataError: the template refuses the chat.
        """
        from jinja2 import TemplateError

        try:
            text = self._tokenizer.apply_chat_template(list(messages), tokenize=False)
        except TemplateError as error:
            raise DataError(
                f"--tokenizer {self.name}: its chat template refuses a row: {error}"
            ) from error
        # R1's own template deletes the thinking; training uses one that keeps it.
        said = (turn["content"] for turn in messages if turn["role"] == "assistant")
        return self.length(text) + sum(self.length(t) for t in said if t.strip() not in text)

    def length(self, text: str) -> int:
        """Return the tokens of a bare text."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    @property
    def special(self) -> frozenset[str]:
        """The texts that become special tokens wherever they stand."""
        return frozenset(map(str, self._tokenizer.get_added_vocab())) | frozenset(
            map(str, self._tokenizer.all_special_tokens)
        )


class Room:
    """Tells whether a row is short enough in every strategy: with the longest of `contexts`.

    `most` is the limit of tokens, `spare` what a context may have at least (a model that writes
    contexts may write so many).
    """

    def __init__(
        self,
        tokens: TokenCounter,
        most: int,
        contexts: Iterable[str],
        layout: Layout,
        spare: int = 0,
    ) -> None:
        self._tokens, self._most, self._layout, self._spare = tokens, most, layout, spare
        texts = set(contexts)
        known = sorted((tokens.length(text + layout.separator), text) for text in texts)
        self._texts = [text for _, text in known[-LONGEST:]]
        self._longest = max(spare, known[-1][0] if known else 0)

    def __call__(self, example: TrainingExample) -> bool:
        """Tell whether `example` fits."""
        bare = self._tokens.count(prompts.compose(example.messages, None, self._layout))
        if bare + self._spare > self._most:
            return False
        if bare + self._longest + SLACK <= self._most:
            return True
        return all(self.fits(example, text) for text in self._texts)

    def fits(self, example: TrainingExample, text: str) -> bool:
        """Tell whether `example` fits with the context `text`."""
        context = Context(text, "", "", None, 0)
        chat = prompts.compose(example.messages, context, self._layout)
        return self._tokens.count(chat) <= self._most
