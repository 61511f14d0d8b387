"""The problems in a file: its rows by `its.rows`, its columns by their usual names."""

import sys
from collections.abc import Mapping
from pathlib import Path

from its import rows as files
from its.rows import FileRow, FileRows

from ..errors import EvalError
from .columns import ProblemReader, recognised
from .problem import Problem


def read_problems(
    path: Path, of_set: ProblemReader | None = None, given: Mapping[str, str] | None = None
) -> list[Problem]:
    """Return the problems in a file; say on standard error what was read from which columns.

    `of_set` reads the rows of a public set in its own columns; a file in other columns is read by
    their names. `given` names columns: `problem`, `answer`, `id`.

    Raises:
        EvalError: the file cannot be read, or a row has no problem, no answer or another's id.
    """
    try:
        found = files.read(path)
    except files.RowsError as error:
        raise EvalError(str(error)) from error
    if not found.rows:
        raise EvalError(f"{path}: no problems")
    first = _fields(found, found.rows[0])
    reader, told = _reader(found, first, of_set, given)
    problems = [_problem(found, row, number, reader) for number, row in enumerate(found.rows)]
    _require_distinct(found, problems)
    rows = f"{len(problems):,} row{'' if len(problems) == 1 else 's'}"
    print(f"its-eval: {path}: {rows} ({found.format}); {told}", file=sys.stderr)
    return problems


def _reader(
    found: FileRows,
    first: files.Fields,
    of_set: ProblemReader | None,
    given: Mapping[str, str] | None,
) -> tuple[ProblemReader, str]:
    """Return what reads the rows, and what it does in words."""
    if of_set is not None:
        try:
            of_set(first, 0)
        except ValueError:
            pass  # not the set's own columns: a copy of it, as `its-eval task --out` writes it
        else:
            return of_set, "in the set's own columns"
    try:
        columns = recognised(first, given)
    except ValueError as error:
        raise EvalError(f"{found.at(found.rows[0])}: {error}") from error
    # People count rows from 1.
    return (lambda row, number: columns.read(row, number + 1)), str(columns)


def _problem(found: FileRows, row: FileRow, number: int, reader: ProblemReader) -> Problem:
    fields = _fields(found, row)
    try:
        problem = reader(fields, number)
    except ValueError as error:
        raise EvalError(f"{found.at(row)}: {error}") from error
    try:
        f"{problem.problem}{problem.answer}{problem.id}".encode()
    except UnicodeEncodeError as error:
        raise EvalError(f"{found.at(row)}: holds half of a surrogate pair, no text") from error
    return problem


def _fields(found: FileRows, row: FileRow) -> files.Fields:
    if row.fields is None:
        raise EvalError(f"{found.at(row)}: {row.fault}")
    return row.fields


def _require_distinct(found: FileRows, problems: list[Problem]) -> None:
    seen: dict[str, FileRow] = {}
    for problem, row in zip(problems, found.rows, strict=True):
        if problem.id in seen:
            first = found.at(seen[problem.id])
            raise EvalError(
                f"{found.at(row)}: the id {problem.id!r} stands twice, first at {first}"
            )
        seen[problem.id] = row
