"""Training rows: JSON objects, one a line, with a `problem` or a `question`."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from its.types import Message

from .errors import DataError

MEMBER = "train"
"""Stands for a member's name in the seeds of contexts: training rows belong to no served model."""


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One row: its line (from 1), its question, and all of it.

    `chat` holds the question in its first user message, and perhaps the answer after it.
    """

    number: int
    question: str
    fields: dict[str, Any]
    chat: Sequence[Message] = ()

    @property
    def question_sha256(self) -> str:
        return question_sha256(self.question)


def question_sha256(question: str) -> str:
    """Return what a question is known by where its text is not kept."""
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()


def read(path: Path) -> Iterator[QuestionRow]:
    """Yield the rows of the file at `path`, read as they are needed; blank lines are none.

    Raises:
        DataError: the file cannot be read, or a line of it is no such row.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(line, number)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def questions(path: Path) -> set[str]:
    """Read and check every row of the file at `path`; return the hashes of their questions.

    Raises:
        DataError: the file cannot be read, a line of it is no such row, or it has none.
    """
    found = {row.question_sha256 for row in read(path)}
    if not found:
        raise DataError(f"{path} has no rows")
    return found


def _row(line: str, number: int) -> QuestionRow:
    try:
        fields = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"line {number}: not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ValueError(f"line {number}: not an object")
    question = fields.get("problem") or fields.get("question")
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"line {number}: neither `problem` nor `question` is text")
    return QuestionRow(number, question, fields, ({"role": "user", "content": question},))
