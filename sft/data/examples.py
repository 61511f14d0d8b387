"""A training example, and the shapes of rows that one can be read from.

Only the question changes later on: answers are carried byte for byte. Each field of a row is used,
or named as one to ignore, or refused: what is dropped without a word is missing from the training.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from its import prompts
from its.rows import Fields
from its.types import Message

from .raw import Bad

QUESTIONS = ("question", "problem", "instruction", "prompt")
ANSWERS = ("solution", "response", "output", "completion", "answer")
REASONING = ("reasoning_content", "reasoning")
"""Fields of a row or of a turn that hold the thinking before the answer."""

TAGS = ("<think>", "</think>")
INPUT = "\n\n### Input:\n"
"""Stands between Alpaca's `instruction` and its `input`, as in Alpaca's own prompt."""

ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant",
         "system": "system"}  # fmt: skip

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_GSM8K_ANSWER = re.compile(r"^####\s*(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TrainingExample:
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


RowShape: TypeAlias = Callable[[Fields], TrainingExample | Bad]


def think(reasoning: str, answer: str) -> str:
    """Join reasoning and answer as R1 and its descendants write them."""
    return f"<think>\n{reasoning.strip()}\n</think>\n\n{answer}"


def pair(fields: Fields, columns: Columns) -> TrainingExample | Bad:
    """Return the question and the answer in a row, as a chat."""
    question, answer = _text(fields, columns.question), _text(fields, columns.answer)
    for text in (question, answer):
        if isinstance(text, Bad):
            return text
    if columns.thinking is not None:
        reasoning = _text(fields, columns.thinking)
        answer = (
            reasoning
            if isinstance(reasoning, Bad)
            else _joined(columns.thinking, reasoning, str(answer))
        )
    else:
        answer = _thought(fields, str(answer))
    if isinstance(answer, Bad):
        return answer
    question = _with_input(fields, columns, str(question))
    if isinstance(question, Bad):
        return question
    if fault := _other_answer(fields, columns, answer):
        return fault
    chat: list[Message] = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return _example(fields, chat)


def box_gsm8k(example: TrainingExample) -> TrainingExample | Bad:
    """Rewrite an answer of GSM8K: the calculator's marks go, and `#### N` becomes a box."""
    answer, boxes = _GSM8K_ANSWER.subn(
        lambda match: f"\\boxed{{{match[1]}}}", _CALCULATOR.sub("", example.answer)
    )
    if boxes != 1:
        return Bad(f"`answer` has {boxes} lines `#### N` where one was expected")
    learnt: Message = {"role": "assistant", "content": answer}
    return replace(example, messages=(*example.messages[:-1], learnt))


def recognise(
    fields: Fields, columns: Columns, ignored: frozenset[str] = frozenset()
) -> RowShape | Bad:
    """Say what shape a file's first row has; all its rows must have that one.

    `ignored` are the fields that may be lost; any other one that is not used makes a row bad.
    """
    fields = _without(fields, ignored)
    if columns == Columns():
        for name in ("messages", "conversations"):
            if isinstance(fields.get(name), list):
                used = frozenset({name, "system"})
                return _strict(partial(_chat, column=name, ignored=ignored), used, ignored)
    found = Columns(
        columns.question or _first(fields, QUESTIONS),
        columns.answer or _first(fields, ANSWERS),
        columns.thinking,
    )
    if found.question is None or found.answer is None:
        return Bad(
            f"its columns are {', '.join(fields)}, which is no shape that is known: name them with"
            " --question-column and --answer-column"
        )
    return _strict(lambda row: pair(row, found), _used(found), ignored)


def _used(columns: Columns) -> frozenset[str]:
    """Return the columns that `pair` reads, and `answer`, which repeats the end of a solution."""
    names = {columns.question, columns.answer, columns.thinking, "answer", "system"}
    if columns.question == "instruction":
        names.add("input")
    if columns.thinking is None:
        names.update(REASONING)
    return frozenset(name for name in names if name)


def _strict(shape: RowShape, used: frozenset[str], ignored: frozenset[str]) -> RowShape:
    """Return `shape` that refuses rows with other fields than those."""
    known = used | {"id", "uuid"}

    def strict(fields: Fields) -> TrainingExample | Bad:
        fields = _without(fields, ignored)
        left = _left(fields, known)
        return Bad(_lost(left, "the row")) if left else shape(fields)

    return strict


def _without(fields: Mapping[str, Any], ignored: frozenset[str]) -> Fields:
    return {name: value for name, value in fields.items() if name not in ignored}


def _left(fields: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    """Return the fields that nobody reads and that hold something."""
    return [name for name, value in fields.items() if name not in known and _holds(value)]


def _holds(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], {})


def _lost(names: Sequence[str], where: str) -> str:
    told = ", ".join(f"`{name}`" for name in names)
    allow = " ".join(f"--ignore-field {name}" for name in names)
    return f"{told} of {where} would be lost; if that may be, say {allow}"


def _first(fields: Fields, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if isinstance(fields.get(name), str)), None)


def _with_input(fields: Fields, columns: Columns, question: str) -> str | Bad:
    """Join Alpaca's `input` to its `instruction`."""
    more = fields.get("input") if columns.question == "instruction" else None
    if not _holds(more):
        return question
    if not isinstance(more, str):
        return Bad("`input` is not text")
    return f"{question}{INPUT}{more}" if more.strip() else question


def _other_answer(fields: Fields, columns: Columns, learnt: str) -> Bad | None:
    """Refuse an `answer` beside the answer's column that is too long to repeat its end."""
    if columns.answer == "answer" or len(str(fields.get("answer") or "")) <= len(learnt):
        return None
    return Bad(
        f"`answer` is longer than `{columns.answer}` and would be lost; say which is learnt with"
        " --answer-column, or --ignore-field answer"
    )


def _thought(fields: Mapping[str, Any], answer: str) -> str | Bad:
    """Put the reasoning that stands in a field of its own before the answer, in its tags."""
    found = {name: fields[name] for name in REASONING if _holds(fields.get(name))}
    if not found:
        return answer
    name, reasoning = next(iter(found.items()))
    if any(other != reasoning for other in found.values()):
        return Bad(f"{' and '.join(f'`{name}`' for name in found)} differ: only one can be learnt")
    if not isinstance(reasoning, str):
        return Bad(f"`{name}` is not text")
    return _joined(name, reasoning, answer)


def _joined(name: str, reasoning: str, answer: str) -> str | Bad:
    if any(tag in text for tag in TAGS for text in (reasoning, answer)):
        return Bad(f"`{name}` holds the thinking, and there are {' '.join(TAGS)} beside it")
    return think(reasoning, answer)


def _example(fields: Fields, chat: list[Message]) -> TrainingExample | Bad:
    """Return the example with the system text that stands in a field of its own."""
    system = fields.get("system")
    if _holds(system):
        if not isinstance(system, str):
            return Bad("`system` is not text")
        if chat[0]["role"] == "system":
            return Bad("`system` is a field, and the chat begins with a system text too")
        chat = [{"role": "system", "content": system}, *chat]
    return TrainingExample(_id(fields), tuple(chat))


def _text(fields: Fields, column: str | None) -> str | Bad:
    assert column is not None, "`recognise` looked for it"
    text = fields.get(column)
    if not isinstance(text, str):
        return Bad(f"`{column}` is {'missing' if column not in fields else 'not text'}")
    return text if text.strip() else Bad(f"`{column}` is empty")


def _chat(fields: Fields, column: str, ignored: frozenset[str]) -> TrainingExample | Bad:
    """A chat as OpenAI writes it, or as ShareGPT does (`from` and `value`)."""
    turns = fields.get(column)
    if not isinstance(turns, list) or not turns:
        return Bad(f"`{column}` is missing or empty")
    chat = []
    for number, turn in enumerate(turns, 1):
        message = _message(turn, ignored)
        if isinstance(message, Bad):
            return Bad(f"turn {number} of `{column}`: {message.reason}")
        chat.append(message)
    if chat[-1]["role"] != "assistant" or not chat[-1]["content"].strip():
        return Bad(f"`{column}` does not end with an answer")
    if not (prompts.question(chat) or "").strip():
        return Bad(f"`{column}` has no question")
    return _example(fields, chat)


def _message(turn: object, ignored: frozenset[str]) -> Message | Bad:
    if not isinstance(turn, Mapping):
        return Bad("is no object")
    turn = _without(turn, ignored)
    said, how = ("content", "role") if "content" in turn else ("value", "from")
    how = how if how in turn else "role" if "role" in turn else "from"
    role, text = ROLES.get(str(turn.get(how))), turn.get(said)
    if role is None:
        return Bad(f"`{how}` is {turn.get(how)!r}; it must be one of {', '.join(ROLES)}")
    if not isinstance(text, str):
        return Bad(f"`{said}` is {'missing' if text is None else 'not text'}")
    known = frozenset({said, how, *(REASONING if role == "assistant" else ())})
    if left := _left(turn, known):
        return Bad(_lost(left, "the turn"))
    answer = _thought(turn, text) if role == "assistant" else text
    return answer if isinstance(answer, Bad) else {"role": role, "content": answer}


def _id(fields: Fields) -> str | None:
    found = fields.get("id", fields.get("uuid"))
    return str(found) if isinstance(found, str | int) and str(found) else None
