"""Files that are there whole or not at all, whatever ends the process or the machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write; it takes the place of `path` when the block ends without an error.

    Raises:
        OSError: the disk is full, or the folder cannot be written; `path` is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a machine that fails may keep the name and no content
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`, text as UTF-8; a reader sees the old file or the whole new one.

    Raises:
        OSError: as `atomic_open` does.
    """
    with atomic_open(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
