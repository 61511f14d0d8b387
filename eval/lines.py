"""`samples.jsonl`: a row on each line, read one at a time, whatever ended the last writer.

A kill or a full disk leaves an unfinished last line. It is nobody's answer, so every reader passes
over it, and the next writer cuts it off.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

_BLOCK = 1 << 16


def dumps(row: dict[str, Any]) -> bytes:
    """Return a row as a line of UTF-8 that every reader of lines takes for one line.

    Some readers, `str.splitlines` among them, also split at U+2028, U+2029 and U+0085. Half of a
    surrogate pair has no UTF-8. All of these are written as JSON's own escapes.
    """
    text = json.dumps(row, ensure_ascii=False)
    for end in "\u2028\u2029\x85":
        if end in text:
            text = text.replace(end, f"\\u{ord(end):04x}")
    return text.encode("utf-8", "backslashreplace") + b"\n"  # a lone \ud800 becomes its JSON escape


def loads(line: bytes) -> Any:
    """Return what a line holds; half a surrogate pair and `NaN`, which JSON forbids, are read.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        return json.loads(line.decode("utf-8", "replace"))


def read(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number (from 1) and the bytes of each line; an unfinished last one is left out.

    A last line that only lacks its end is whole. A file that does not exist has no lines.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n") or _is_whole(line):
                yield number, line


def append(path: Path, line: bytes) -> None:
    """Write a line at the end of the file, whole or not at all.

    Raises:
        OSError: the disk is full. What was written of the line is taken back: the next line would
            be appended to it, and both would be lost.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(file).st_size
        try:
            while line:
                line = line[os.write(file, line) :]
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def mend(path: Path) -> None:
    """End the last line where only its end is missing, or cut off what is unfinished of it."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        last = _last_line(file.fileno())
        if not last or last.endswith(b"\n"):
            return
        if _is_whole(last):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(os.fstat(file.fileno()).st_size - len(last))


def _last_line(file: int) -> bytes:
    """Return what follows the last end of a line but one; read from the end, in blocks."""
    position = os.fstat(file).st_size
    blocks: list[bytes] = []
    while position:
        start = max(0, position - _BLOCK)
        block = os.pread(file, position - start, start)
        cut = block.rfind(b"\n", 0, len(block) - (not blocks))
        blocks.append(block[cut + 1 :])
        if cut >= 0:
            break
        position = start
    return b"".join(reversed(blocks))


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(loads(line), dict)
    except ValueError:
        return False
