"""The values of this room: rows with their places, and cells as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

Fields: TypeAlias = dict[str, Any]

WANTED = "JSONL, a JSON array of objects, CSV with a header, or Parquet; each also as .gz"

MOST_DIGITS = 4_000
"""Digits of a whole number. Python turns no longer one into text, nor does msgspec read it."""


class RowsError(ValueError):
    """A file whose rows cannot be read: the message names file, line, what it is and the remedy."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row. `line` is the line on which it begins, or its number where a format has no lines.

    `fields` is `None` if it cannot be read, and `fault` says why.
    """

    line: int
    fields: Fields | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of a file. `format` names what it is written as, for people."""

    path: Path
    format: str
    rows: tuple[FileRow, ...]

    def at(self, row: FileRow) -> str:
        """Name the place of a row, as `FILE:LINE`; `FILE, row N` in Parquet."""
        parquet = self.format.startswith("Parquet")
        return f"{self.path}, row {row.line}" if parquet else f"{self.path}:{row.line}"


def text_of(value: Any) -> str | None:
    """Return a cell as text: a number as it was written; `None` where it holds no text or number.

    Raises:
        ValueError: a whole number has more digits than Python writes.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int) and value.bit_length() > MOST_DIGITS * 3.3:
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 50 else str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
    return str(value) if isinstance(value, str | int) else None


def names(fields: Mapping[str, Any]) -> str:
    """Return the names of a row's columns, for people; the first twenty of them."""
    found = [repr(name) for name in fields]
    return ", ".join(found[:20]) + (f" and {len(found) - 20} more" if len(found) > 20 else "")
