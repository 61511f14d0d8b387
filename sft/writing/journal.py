"""The personas of a data set as they are kept: a journal while they are written, then one file.

The journal `OUT.part` takes each persona the moment that it is there, in any order, so that a kill
loses nothing that was paid for. It knows a row by the hash of its question, so that it stays true
where lines were added, removed or moved meanwhile. The finished `OUT` has the order of the rows.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from its.files import atomic_open

from ..errors import DataError
from ..rows import QuestionRow


class WrittenPersona(msgspec.Struct, frozen=True, omit_defaults=True):
    """The persona of one row. `asked` is the strategy of the job, `strategy` the one drawn.

    `faults` are those of the texts that were refused; `tokens` is what all attempts cost. `job` is
    a hash of what decides the texts; personas of one job may stand in one file.
    """

    row: int
    question_sha256: str
    asked: str
    strategy: str
    source: str
    domain: str | None
    persona: str
    model: str
    prompt_sha256: str
    faults: list[str] = []
    tokens: int = 0
    job: str = ""


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
                    if written.prompt_sha256:
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
        DataError: journal or `OUT` is of another job or cannot be read, or another run is at work.
    """

    def __init__(self, out: Path, job: dict[str, Any]) -> None:
        self._out, self._job = out, msgspec.json.encode({"job": job})
        self.job = hashlib.sha256(self._job).hexdigest()[:16]
        self.path = out.with_name(out.name + ".part")
        self._lock = FileLock(out.with_name(f".{out.name}.lock"), timeout=0)
        self._offsets: dict[bytes, int] = {}

    def __enter__(self) -> "Journal":
        with ExitStack() as stack:
            try:
                stack.enter_context(self._lock)
            except Timeout:
                raise DataError(f"{self.path}: another run is at work on it") from None
            self._refuse_other_job()
            self._file = stack.enter_context(self.path.open("a+b"))
            self._load()
            self._take_over()
            self._held = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    def __contains__(self, question_sha256: str) -> bool:
        return bytes.fromhex(question_sha256) in self._offsets

    def add(self, written: WrittenPersona) -> None:
        """Keep one persona; when this returns, a kill does not lose it."""
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(msgspec.json.encode(written) + b"\n")
        # Flushed, not synced to the disk: a kill of the process loses nothing. A machine that fails
        # may lose the last rows, which are then asked for again.
        self._file.flush()
        self._offsets[bytes.fromhex(written.question_sha256)] = offset

    def texts(self) -> Iterator[str]:
        """Yield every persona that is kept."""
        return (self._read(offset).persona for offset in list(self._offsets.values()))

    def finish(self, rows: Iterable[QuestionRow]) -> None:
        """Write `OUT` in the order of `rows`, whole or not at all, and drop the journal.

        A question that stands in several rows was written for once, and its cost stands once.

        Raises:
            DataError: a row has no persona here.
        """
        paid: set[str] = set()
        with atomic_open(self._out) as file:
            for row in rows:
                written = self._of(row)
                if written.question_sha256 in paid:
                    written = msgspec.structs.replace(written, faults=[], tokens=0)
                paid.add(written.question_sha256)
                file.write(msgspec.json.encode(written) + b"\n")
        self.path.unlink()
        Path(self._lock.lock_file).unlink()

    def _of(self, row: QuestionRow) -> WrittenPersona:
        offset = self._offsets.get(bytes.fromhex(row.question_sha256))
        if offset is None:
            raise DataError(
                f"line {row.number} has no persona yet: the file has changed. Run the same command"
                " again"
            )
        return msgspec.structs.replace(self._read(offset), row=row.number)

    def _read(self, offset: int) -> WrittenPersona:
        self._file.seek(offset)
        return _DECODER.decode(self._file.readline())

    def _refuse_other_job(self) -> None:
        """Look at the first line of a finished `OUT`, before a journal is begun beside it."""
        first = next(self._finished(), None)
        if first is not None and first.job != self.job:
            raise DataError(
                f"{self._out} holds the personas of another job (another strategy, seed, model,"
                " sampling, prompt or bank). Name another --out, or delete the file"
            )

    def _take_over(self) -> None:
        """Keep what a finished `OUT` holds: it was paid for, and only new questions are asked."""
        for written in self._finished():
            if written.question_sha256 not in self:
                self.add(written)

    def _finished(self) -> Iterator[WrittenPersona]:
        try:
            file = self._out.open("rb")
        except FileNotFoundError:
            return
        with file:
            for number, line in enumerate(file, 1):
                yield _decoded(line, self._out, number)

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
                kept = _DECODER.decode(line)
                self._offsets[bytes.fromhex(kept.question_sha256)] = end
            except (msgspec.MsgspecError, ValueError) as error:
                raise DataError(f"{self.path} is damaged at byte {end}: {error}") from error
            end += len(line)
        self._file.truncate(end)  # the next row must not be glued to half of one
