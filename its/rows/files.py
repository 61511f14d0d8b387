"""Files: what each is written as, and its rows.

The content says which format a file has, not its name: what is called `.json` is often JSONL.
"""

import codecs
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from .formats import DELIMITERS, array, lines, parquet, table
from .values import WANTED, FileRows, RowsError

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_OTHERS = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself (run `git lfs pull`)",
    b"\xff\xfe": "text in UTF-16 (save it as UTF-8)",
    b"\xfe\xff": "text in UTF-16 (save it as UTF-8)",
    b"<": "HTML or XML (a download may have saved a page instead of the file)",
    b"\x28\xb5\x2f\xfd": "packed with zstd (unpack it)",
    b"BZh": "packed with bzip2 (unpack it)",
    b"\xfd7zXZ": "packed with xz (unpack it)",
    b"SQLite format 3": "a database of SQLite",
    b"ARROW1": "an Arrow file",
}
"""How files begin that people give by mistake."""

_READERS = {"JSONL": lines, "JSON array": array, "CSV": table}


def read(path: Path) -> FileRows:
    """Return the rows of a file.

    Raises:
        RowsError: it cannot be read, is empty, or is of another format.
    """
    data = _unpacked(path)
    packed = ", gzip" if data.packed else ""
    if data.content.startswith(_PARQUET):
        return FileRows(path, f"Parquet{packed}", tuple(parquet(path, data.content)))
    text = _decoded(path, data.content)
    kind = _kind(path, text)
    return FileRows(path, f"{kind}{packed}", tuple(_READERS[kind](path, text)))


def is_plain_jsonl(path: Path) -> bool:
    """Tell whether a file is JSONL that is not packed, by its beginning: it can be read by lines.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        first = file.readline(1 << 20).removeprefix(codecs.BOM_UTF8).lstrip()
        while not first and (line := file.readline(1 << 20)):
            first = line.lstrip()
    if not first:
        return True  # an empty file has no rows, whatever it is
    return first.startswith(b"{") and (_is_json(first) or not first.rstrip().endswith(b"{"))


@dataclass(frozen=True, slots=True)
class _Data:
    content: bytes
    packed: bool


def _unpacked(path: Path) -> _Data:
    if path.is_dir():
        raise RowsError(f"{path} is a folder; give a file: {WANTED}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RowsError(f"cannot read {path}: {error.strerror}") from error
    packed = content.startswith(_GZIP)
    if packed:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise RowsError(f"{path}: its gzip is broken: {error}. Fetch it again") from error
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        raise RowsError(f"{path} is empty; wanted: {WANTED}")
    for start, what in _OTHERS.items():
        if content.startswith(start):
            raise RowsError(f"{path}:1: this is {what}; wanted: {WANTED}")
    return _Data(content, packed)


def _decoded(path: Path, content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RowsError(f"{path}:{line}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise RowsError(f"{path}:{line}: holds a NUL byte, so it is no text; wanted: {WANTED}")
    return text


def _kind(path: Path, text: str) -> str:
    """Say which format a text is."""
    start = text.lstrip()
    if start.startswith("["):
        return "JSON array"
    if start.startswith("{"):
        _refuse_one_object(path, start)
        return "JSONL"
    first = start.partition("\n")[0].strip()
    named = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if named in ("json", "jsonl", "ndjson"):
        raise RowsError(f"{path}:1: not JSON, though its name says so: {first[:60]!r} begins it")
    if not any(mark in first for mark in DELIMITERS) and named not in ("csv", "tsv"):
        raise RowsError(f"{path}:1: this is plain text ({first[:60]!r}); wanted: {WANTED}")
    return "CSV"


def _refuse_one_object(path: Path, text: str) -> None:
    """Refuse one JSON object over several lines: it is no list of rows, though it may hold one."""
    if _is_json(text.partition("\n")[0].encode()):
        return
    try:
        whole = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return  # broken JSONL: its reader names the line
    lists = [name for name, value in whole.items() if isinstance(value, list)]
    where = f" (take the list under {lists[0]!r})" if lists else ""
    raise RowsError(f"{path}:1: this is one JSON object{where}; wanted: {WANTED}")


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True
