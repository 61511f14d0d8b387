"""The formats: each reads a text, or the content of a file, into rows."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from .values import MOST_DIGITS, Fields, FileRow, RowsError

DELIMITERS = ",;\t"
"""What stands between the cells of a line, in tables of different programs and countries."""

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Keeps fractions as they were written: 0.50, and 0.1234567890123456789."""


def _object(text: str) -> tuple[Fields | None, str]:
    """Return the object that `text` is, or why it is none."""
    try:
        found = _decode(text)
    except msgspec.ValidationError:
        return None, f"a number has more than {MOST_DIGITS} digits"
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if _has_lone_surrogate(text):
            return None, "holds half of a surrogate pair (\\ud800 to \\udfff), which is no text"
        return None, f"not JSON: {error}"
    return _fields(found)


def _fields(found: Any) -> tuple[Fields | None, str]:
    if not isinstance(found, dict):
        return None, "not a JSON object"
    return found, ""


def _has_lone_surrogate(text: str) -> bool:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def lines(path: Path, text: str) -> Iterator[FileRow]:
    # At line feeds only: a text may hold other ends of lines, such as U+2028.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield FileRow(number, *_object(line))


def array(path: Path, text: str) -> Iterator[FileRow]:
    """Read a JSON array element by element, to know the line on which each begins."""
    scanner, place, line, counted = json.JSONDecoder(), text.index("[") + 1, 1, 0
    while True:
        place = _past_spaces(text, place)
        if text[place : place + 1] == "]":
            break
        line, counted = line + text.count("\n", counted, place), place
        try:
            end = scanner.raw_decode(text, place)[1]
        except (ValueError, RecursionError) as error:
            what = error if isinstance(error, ValueError) else "nested too deep"
            raise RowsError(f"{path}:{line}: not JSON: {what}") from error
        yield FileRow(line, *_object(text[place:end]))
        place = _past_spaces(text, end)
        if text[place : place + 1] == ",":
            place += 1
        elif text[place : place + 1] != "]":
            raise RowsError(f"{path}:{line}: not JSON: a comma or `]` is missing after this row")
    if text[place + 1 :].strip():
        raise RowsError(f"{path}: not JSON: more text stands after the array's `]`")


def _past_spaces(text: str, place: int) -> int:
    while text[place : place + 1] in (" ", "\t", "\r", "\n"):
        place += 1
    return place


def table(path: Path, text: str) -> Iterator[FileRow]:
    first = text.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    # Solutions are longer than the 128 KiB to which the library limits a cell.
    before = csv.field_size_limit(len(text) + 1)
    try:
        yield from _cells(path, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise RowsError(f"{path}: not CSV: {error}") from error
    finally:
        csv.field_size_limit(before)


def _cells(path: Path, reader: Any) -> Iterator[FileRow]:
    header: Sequence[str] = ()
    line = 1
    for cells in reader:
        begins, line = line, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = [cell.strip() for cell in cells]
            if len(set(header)) < len(header):
                raise RowsError(f"{path}:{begins}: a column's name stands twice: {header}")
        elif len(cells) != len(header):
            yield FileRow(
                begins, None, f"has {len(cells)} cells where the header has {len(header)}"
            )
        else:
            yield FileRow(begins, dict(zip(header, cells, strict=True)))


def parquet(path: Path, content: bytes) -> Iterator[FileRow]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as reader
    except ImportError as error:
        raise RowsError(f"{path} is Parquet, which needs pyarrow: pip install pyarrow") from error
    try:
        table = reader.read_table(arrow.BufferReader(content))
    except Exception as error:  # pyarrow's errors have no common class
        raise RowsError(f"{path}: its Parquet is broken: {error}. Fetch it again") from error
    for number, fields in enumerate(table.to_pylist(), 1):
        yield FileRow(number, fields)
