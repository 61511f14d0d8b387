"""Which column of a file holds the question, which one the answer: the usual names are known."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from its import answers
from its.answers.reading.boxes import boxed
from its.rows import names, text_of

from .problem import Problem

PROBLEMS = ("problem", "question", "prompt", "query", "instruction", "input", "messages")
ANSWERS = (
    "answer", "final_answer", "target", "gold", "expected_answer", "ground_truth", "expected",
    "reward_model", "solution", "output", "response", "completion", "label",
)  # fmt: skip
IDS = (
    "id", "unique_id", "problem_id", "question_id", "problem_idx", "uuid", "uid", "idx", "index",
)  # fmt: skip
"""Names of columns, the likeliest first; upper and lower case are alike."""

SOLUTIONS = ("solution", "output", "response", "completion")
"""Columns that hold a worked solution, which ends with the answer."""

_HASHES = re.compile(r"^####[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
"""The final answer of GSM8K stands behind `####`."""

LONGEST_BARE = 200
"""Characters of an answer that may stand alone; a longer text is a solution that has one."""

TableRow: TypeAlias = Mapping[str, Any]
ProblemReader: TypeAlias = Callable[[TableRow, int], Problem]


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The columns of a file. Without an `id` the number of the row is the id."""

    problem: str
    answer: str
    id: str | None = None

    def __str__(self) -> str:
        key = f"ids from `{self.id}`" if self.id else "the rows' numbers as ids"
        return f"problems from `{self.problem}`, answers from `{self.answer}`, {key}"

    def read(self, row: TableRow, number: int) -> Problem:
        """Return the problem in a row.

        Raises:
            ValueError: a column is missing or empty, or there is no final answer in it.
        """
        key = cell(row, self.id) if self.id else str(number)
        return Problem(key, _question(row, self.problem), final_answer(row, self.answer), row)


def columns(problem: str, answer: str, key: str | None = None) -> ProblemReader:
    """Return a reader of rows that have one column each; without a `key` the number is the id."""
    return ColumnNames(problem, answer, key).read


def recognised(row: TableRow, given: Mapping[str, str] | None = None) -> ColumnNames:
    """Return the columns of a file by its first row; `given` are those that somebody named.

    Raises:
        ValueError: a named column is missing, or there is none of the usual names.
    """
    given = given or {}
    for column in given.values():
        if column not in row:
            raise ValueError(f"there is no column {column!r}; the columns are {names(row)}")
    problem = given.get("problem") or _first(row, PROBLEMS)
    answer = given.get("answer") or _first(row, ANSWERS, without=problem)
    for what, found, usual in (("problem", problem, PROBLEMS), ("answer", answer, ANSWERS)):
        if found is None:
            raise ValueError(
                f"no column for the {what}: the columns are {names(row)}; known are"
                f" {', '.join(usual)}. Name it in a task file (docs/eval.md, Task files)"
            )
    assert problem is not None
    assert answer is not None
    return ColumnNames(problem, answer, given.get("id") or _first(row, IDS))


def cell(row: TableRow, column: str) -> str:
    """Return the text of a cell.

    Raises:
        ValueError: it is missing or empty, or holds no text.
    """
    value = row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"{column!r} is missing or empty")
    text = text_of(value)
    if text is None:
        raise ValueError(f"{column!r} is neither text nor a number: {value!r:.60}")
    return text


def final_answer(row: TableRow, column: str) -> str:
    """Return the gold answer in a row: a short text, what follows `####`, or the last box.

    Several answers in a list are joined by commas.

    Raises:
        ValueError: there is none.
    """
    value = row.get(column)
    if isinstance(value, Mapping):  # as reinforcement learning keeps it: {"ground_truth": "42"}
        return final_answer(value, _first(value, ANSWERS) or "ground_truth")
    if isinstance(value, list) and value:
        text = ", ".join(cell({column: each}, column) for each in value)
    else:
        text = cell(row, column)
    return _final(text, column)


def _final(text: str, column: str) -> str:
    if hashes := _HASHES.findall(text):
        return str(hashes[-1])
    if "\\boxed" in text and (box := boxed(text)):
        return box
    short = len(text) <= LONGEST_BARE and "\n" not in text.strip()
    if short or column.lower() not in SOLUTIONS:
        return text.strip()
    read = answers.read({"content": text})
    if read is None:
        raise ValueError(f"{column!r} has no final answer: `#### 42` or \\boxed{{42}} is wanted")
    return read.text


def _question(row: TableRow, column: str) -> str:
    value = row.get(column)
    if isinstance(value, list):  # a chat: its last question
        said = [
            m.get("content") for m in value if isinstance(m, Mapping) and m.get("role") == "user"
        ]
        return cell({column: said[-1] if said else None}, column)
    if column.lower() == "instruction" and (more := row.get("input")):  # as in Alpaca's rows
        return f"{cell(row, column)}\n\n{more}"
    return cell(row, column)


def _first(row: TableRow, usual: tuple[str, ...], without: str | None = None) -> str | None:
    """Return the first of the usual names that the row has something under."""
    by_name = {name.lower(): name for name in row if isinstance(name, str) and name != without}
    there = [by_name[name] for name in usual if name in by_name]
    filled = [name for name in there if row[name] not in (None, "")]
    return next(iter(filled or there), None)
