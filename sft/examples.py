"""A training example, and the shapes of rows that one can be read from.

Only the question changes later on: answers are carried byte for byte.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from its import prompts
from its.types import Message

from .raw import Bad, Fields

QUESTIONS = ("question", "problem", "instruction", "prompt")
ANSWERS = ("solution", "response", "output", "completion", "answer")
ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant",
         "system": "system"}  # fmt: skip

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_GSM8K_ANSWER = re.compile(r"^####\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A chat that ends with the answer to be learnt; no context stands in it yet."""

    id: str | None
    messages: tuple[Message, ...]

    @property
    def question(self) -> str:
        return prompts.question(self.messages) or ""

    @property
    def questions(self) -> list[str]:
        """Return what the user says, turn by turn."""
        return [turn["content"] for turn in self.messages if turn["role"] == "user"]

    @property
    def answer(self) -> str:
        content: str = self.messages[-1]["content"]
        return content


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of question, answer and reasoning, where they are told."""

    question: str | None = None
    answer: str | None = None
    thinking: str | None = None


Shape: TypeAlias = Callable[[Fields], Example | Bad]


def think(reasoning: str, answer: str) -> str:
    """Join reasoning and answer as R1 and its descendants write them."""
    return f"<think>\n{reasoning.strip()}\n</think>\n\n{answer}"


def open_thoughts(fields: Fields) -> Example | Bad:
    """A row of OpenThoughts' `metadata` configuration."""
    return _pair(fields, Columns("problem", "deepseek_solution", "deepseek_reasoning"))


def s1k(fields: Fields) -> Example | Bad:
    """A row of s1K-1.1."""
    return _pair(fields, Columns("question", "deepseek_attempt", "deepseek_thinking_trajectory"))


def limo(fields: Fields) -> Example | Bad:
    """A row of LIMO, whose solution holds the reasoning without marks around it."""
    return _pair(fields, Columns("question", "solution"))


def gsm8k(fields: Fields) -> Example | Bad:
    """A row of GSM8K: the calculator's marks go, and `#### N` becomes a box."""
    found = _pair(fields, Columns("question", "answer"))
    if isinstance(found, Bad):
        return found
    answer, boxes = _GSM8K_ANSWER.subn(
        lambda match: f"\\boxed{{{match[1]}}}", _CALCULATOR.sub("", found.answer)
    )
    if boxes != 1:
        return Bad(f"`answer` has {boxes} lines `#### N` where one was expected")
    return Example(found.id, (found.messages[0], {"role": "assistant", "content": answer}))


def recognise(fields: Fields, columns: Columns) -> Shape | Bad:
    """Say what shape a file's first row has; all its rows must have that one."""
    if columns != Columns():
        asked = Columns(
            columns.question or _first(fields, QUESTIONS),
            columns.answer or _first(fields, ANSWERS),
            columns.thinking,
        )
        if asked.question is None or asked.answer is None:
            return Bad(f"has no question or no answer among its columns: {', '.join(fields)}")
        return lambda row: _pair(row, asked)
    for name in ("messages", "conversations"):
        if isinstance(fields.get(name), list):
            return lambda row: _chat(row, name)
    question, answer = _first(fields, QUESTIONS), _first(fields, ANSWERS)
    if question is None or answer is None:
        return Bad(
            f"its columns are {', '.join(fields)}, which is no shape that is known: name them with"
            " --question-column and --answer-column"
        )
    found = Columns(question, answer)
    return lambda row: _pair(row, found)


def _first(fields: Fields, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if isinstance(fields.get(name), str)), None)


def _pair(fields: Fields, columns: Columns) -> Example | Bad:
    question, answer = _text(fields, columns.question), _text(fields, columns.answer)
    for text in (question, answer):
        if isinstance(text, Bad):
            return text
    if columns.thinking is not None:
        reasoning = _text(fields, columns.thinking)
        if isinstance(reasoning, Bad):
            return reasoning
        answer = think(reasoning, str(answer))
    chat: tuple[Message, ...] = (
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    )
    return Example(_id(fields), chat)


def _text(fields: Fields, column: str | None) -> str | Bad:
    assert column is not None, "`recognise` looked for it"
    text = fields.get(column)
    if not isinstance(text, str):
        return Bad(f"`{column}` is {'missing' if column not in fields else 'not text'}")
    return text if text.strip() else Bad(f"`{column}` is empty")


def _chat(fields: Fields, column: str) -> Example | Bad:
    """A chat as OpenAI writes it, or as ShareGPT does (`from` and `value`)."""
    turns = fields.get(column)
    if not isinstance(turns, list) or not turns:
        return Bad(f"`{column}` is missing or empty")
    chat = []
    for turn in turns:
        message = _message(turn)
        if message is None:
            return Bad(f"`{column}` has a turn without a known role and text")
        chat.append(message)
    if chat[-1]["role"] != "assistant" or not chat[-1]["content"].strip():
        return Bad(f"`{column}` does not end with an answer")
    if not (prompts.question(chat) or "").strip():
        return Bad(f"`{column}` has no question")
    return Example(_id(fields), tuple(chat))


def _message(turn: object) -> Message | None:
    if not isinstance(turn, Mapping):
        return None
    role = ROLES.get(turn.get("role") or turn.get("from") or "")
    text = turn.get("content") if "content" in turn else turn.get("value")
    if role is None or not isinstance(text, str):
        return None
    return {"role": role, "content": text}


def _id(fields: Fields) -> str | None:
    found = fields.get("id", fields.get("uuid"))
    return str(found) if isinstance(found, str | int) and str(found) else None
