"""The personas of a data set as they are kept: a journal while they are written, then one file.

The journal `OUT.part` takes each persona the moment that it is there, in any order, so that a kill
loses nothing that was paid for; the finished file `OUT` has them in the order of the rows.
"""

import os
from array import array
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from its.files import whole

from ..errors import DataError

NONE = 2**64 - 1
"""Stands in the index for a row that is not there yet."""


class WrittenPersona(msgspec.Struct, frozen=True, omit_defaults=True):
    """The persona of one row. `asked` is the strategy of the job, `strategy` the one drawn.

    `faults` are those of the texts that were refused; `tokens` is what all attempts cost.
    """

    row: int
    question_sha256: str
    asked: str
    strategy: str
    source: str
    domain: str
    persona: str
    model: str
    prompt_sha256: str
    faults: list[str] = []
    tokens: int = 0


_DECODER = msgspec.json.Decoder(WrittenPersona)


class PersonaFile:
    """The finished file at `path`, looked up by the question; its texts stay on the disk.

    Raises:
        DataError: the file cannot be read, or a line of it is no persona.
    """

    def __init__(self, path: Path) -> None:
        self._offsets: dict[str, int] = {}
        self.models: set[str] = set()
        self.prompts: set[str] = set()
        offset = 0
        self._path = path
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    written = _decoded(line, path, number)
                    self._offsets[written.question_sha256] = offset
                    self.models.add(written.model)
                    self.prompts.add(written.prompt_sha256)
                    offset += len(line)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error

    def get(self, question_sha256: str) -> WrittenPersona | None:
        """Return the persona of a question; `None` if none was written for it."""
        offset = self._offsets.get(question_sha256)
        if offset is None:
            return None
        with self._path.open("rb") as file:
            file.seek(offset)
            return _DECODER.decode(file.readline())

    def texts(self) -> list[str]:
        """Return every persona."""
        with self._path.open("rb") as file:
            return [_DECODER.decode(line).persona for line in file]


def _decoded(line: bytes, path: Path, number: int) -> WrittenPersona:
    try:
        return _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        raise DataError(f"{path}, line {number}: {error}") from error


class Journal:
    """A `with` block that adds personas to `OUT.part`; `job` is what decides their texts.

    Raises:
        DataError: there is a journal of another job, it cannot be read, or another run has it.
    """

    def __init__(self, out: Path, job: dict[str, Any]) -> None:
        self._out, self._job = out, msgspec.json.encode({"job": job})
        self.path = out.with_name(out.name + ".part")
        self._lock = FileLock(out.with_name(f".{out.name}.lock"), timeout=0)
        self._offsets = array("Q")
        self.count = 0

    def __enter__(self) -> "Journal":
        with ExitStack() as stack:
            try:
                stack.enter_context(self._lock)
            except Timeout:
                raise DataError(f"{self.path}: another run is at work on it") from None
            self._file = stack.enter_context(self.path.open("a+b"))
            self._load()
            self._held = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    def __contains__(self, row: int) -> bool:
        return row < len(self._offsets) and self._offsets[row] != NONE

    def add(self, written: WrittenPersona) -> None:
        """Keep one persona; when this returns, a kill does not lose it."""
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(msgspec.json.encode(written) + b"\n")
        self._file.flush()
        self._index(written.row, offset)

    def finish(self) -> None:
        """Write `OUT` in the order of the rows, whole or not at all, and drop the journal."""
        with whole(self._out) as file:
            for offset in self._offsets:
                if offset != NONE:
                    self._file.seek(offset)
                    file.write(self._file.readline())
        self.path.unlink()
        Path(self._lock.lock_file).unlink()

    def _load(self) -> None:
        self._file.seek(0)
        head = self._file.readline()
        if not head.endswith(b"\n"):  # new, or killed in its first write
            self._file.truncate(0)
            self._file.write(self._job + b"\n")
            self._file.flush()
            return
        if head != self._job + b"\n":
            raise DataError(
                f"{self.path} was begun by another job ({head.decode('utf-8', 'replace').strip()});"
                f" this one is {self._job.decode()}. Use its options, or delete the file"
            )
        end = len(head)
        for line in self._file:
            if not line.endswith(b"\n"):
                break  # killed while it was written
            try:
                self._index(_DECODER.decode(line).row, end)
            except msgspec.MsgspecError as error:
                raise DataError(f"{self.path} is damaged at byte {end}: {error}") from error
            end += len(line)
        self._file.truncate(end)

    def _index(self, row: int, offset: int) -> None:
        if row >= len(self._offsets):
            self._offsets.extend([NONE] * (row + 1 - len(self._offsets)))
        self.count += self._offsets[row] == NONE
        self._offsets[row] = offset
