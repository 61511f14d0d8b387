"""Raw rows before they become examples: the lines of a file, or a table of the Hugging Face hub.

Both can be gone through in order and fetched again by number, so that what is kept of a large
source is a list of numbers, never its texts.
"""

import codecs
import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec

from its import rows
from its.extras import needs
from its.rows import Fields

from ..errors import DataError


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be used, and why."""

    reason: str


class Raw(Protocol):
    """Rows of a source, numbered from 1."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[int, Fields | Bad]]: ...

    def fetch(self, number: int) -> Fields: ...

    def at(self, number: int) -> str:
        """Name the place of a row for people."""


class Lines:
    """JSON objects, one a line; blank lines are none.

    Raises:
        DataError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets = array("Q")
        self._lines = array("Q")
        self._decode = msgspec.json.Decoder().decode
        try:
            with path.open("rb") as file:
                self._index(file)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[tuple[int, Fields | Bad]]:
        with self._path.open("rb") as file:
            number = 0
            for line in file:
                if line.strip():
                    number += 1
                    yield number, self._fields(line)

    def fetch(self, number: int) -> Fields:
        with self._path.open("rb") as file:
            file.seek(self._offsets[number - 1])
            fields = self._fields(file.readline())
        if isinstance(fields, Bad):
            raise DataError(f"{self.at(number)}: changed while it was read: {fields.reason}")
        return fields

    def at(self, number: int) -> str:
        return f"{self._path}, line {self._lines[number - 1]}"

    def _index(self, lines: Iterable[bytes]) -> None:
        offset = 0
        for number, line in enumerate(lines, 1):
            if line.strip():
                self._offsets.append(offset)
                self._lines.append(number)
            offset += len(line)

    def _fields(self, line: bytes) -> Fields | Bad:
        try:
            # Editors on Windows put a byte order mark before the first row.
            fields = self._decode(line.removeprefix(codecs.BOM_UTF8))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Bad(f"not JSON: {error}")
        return fields if isinstance(fields, dict) else Bad("not a JSON object")


class HubTable:
    """A table of the library `datasets`, which lies on disk and is mapped into memory."""

    def __init__(self, table: Any, name: str) -> None:
        self._table, self._name = table, name

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[tuple[int, Fields | Bad]]:
        yield from enumerate(self._table, 1)

    def fetch(self, number: int) -> Fields:
        row: Fields = self._table[number - 1]
        return row

    def at(self, number: int) -> str:
        return f"{self._name}, row {number}"


class HeldRows:
    """The rows of a file that cannot be read by lines: a JSON array, CSV, whatever is packed.

    Raises:
        DataError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = rows.read(path)
        except rows.RowsError as error:
            raise DataError(str(error)) from error

    def __len__(self) -> int:
        return len(self._file.rows)

    def __iter__(self) -> Iterator[tuple[int, Fields | Bad]]:
        for number, row in enumerate(self._file.rows, 1):
            yield number, Bad(row.fault) if row.fields is None else _with_floats(row.fields)

    def fetch(self, number: int) -> Fields:
        row = self._file.rows[number - 1]
        assert row.fields is not None, "only rows that could be read are kept"
        fields: Fields = _with_floats(row.fields)
        return fields

    def at(self, number: int) -> str:
        return self._file.at(self._file.rows[number - 1])


def _with_floats(value: Any) -> Any:
    """Return a row with the fractions that the lines of a file have: a row has one digest."""
    if isinstance(value, dict):
        return {name: _with_floats(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_floats(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


def file_rows(path: Path, config: str | None = None, columns: Sequence[str] = ()) -> Raw:
    """Return the rows of a file (`its.rows`), or of a folder as the hub lays one out.

    `config` and `columns` are those of `hub_rows`.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    if path.is_dir() or path.suffix == ".parquet":
        return hub_rows(str(path), config, columns)
    try:
        lines = rows.is_plain_jsonl(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return Lines(path) if lines else HeldRows(path)


def hub_rows(repo: str, config: str | None = None, columns: Sequence[str] = ()) -> Raw:
    """Return the training split of a data set on the hub; `repo` may be a folder or a file.

    Only `columns` are read, where they are named: others may be far larger.

    Raises:
        DataError: it cannot be had.
    """
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError(needs(f"The data set {repo}", "sft")) from error
    try:
        if repo.endswith(".parquet"):
            table = load_dataset("parquet", data_files=repo, split="train")
        else:
            table = load_dataset(repo, config, split="train")
    except Exception as error:
        # The library raises what its transports raise; whatever it was, the remedy is the same.
        raise DataError(
            f"cannot load {repo} ({type(error).__name__}: {error}); where the hub cannot be"
            " reached, give the rows with --from PATH, a JSONL file or a copy of the repository"
        ) from error
    return HubTable(table.select_columns(list(columns)) if columns else table, repo)


def digest(value: Any) -> bytes:
    """Return the SHA-256 of a JSON value; the same value has the same, whatever file it was in."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).digest()
