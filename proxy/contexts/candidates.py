"""Solved questions that are kept for later notes, where the configuration switches it on.

They go into a file, one JSON line each. Nothing of it is served: `its-sft notes` makes a new
version of notes from it, which a reload puts in force.
"""

import asyncio
import fcntl
import hashlib
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from its.overlap import normal
from its.recent import Recent

from ..config.settings import CandidateSettings

KNOWN = 32 << 20
"""Bytes of memory for what is in the files already: some 70,000 questions."""

MOST_WAITING = 1_000
"""Candidates that may wait for a slow disk; further ones are dropped."""

REST_SECONDS = 60.0
"""After a failure nothing is written for so long, or a full disk would fill the log too."""

_LOG = logging.getLogger("its.proxy")


class Candidate(msgspec.Struct, frozen=True):
    """A question and its solution, as `its-sft notes` and `its-sft build` read them."""

    question: str
    solution: str
    answer: str
    agreement: float
    panel: str


class CandidateFiles:
    """Adds candidates to their files, in a thread: no request waits for the disk."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "candidates")
        self._known: Recent[bytes, bool] = Recent(KNOWN)
        self._read: set[Path] = set()
        self._waiting = 0
        self._rests_until = 0.0

    def keep(self, settings: CandidateSettings, candidate: Candidate) -> None:
        """Add `candidate` to its file, unless the same question is there, or the file is full."""
        if self._waiting >= MOST_WAITING or time.monotonic() < self._rests_until:
            return
        self._waiting += 1
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, self._try, settings, candidate)
        done.add_done_callback(self._done)

    async def close(self) -> None:
        """Wait until everything is written."""
        await asyncio.to_thread(self._thread.shutdown)

    def _done(self, _: object) -> None:
        self._waiting -= 1

    def _try(self, settings: CandidateSettings, candidate: Candidate) -> None:
        try:
            self._keep(settings, candidate)
        except OSError as error:
            # The path and the reason only: what was asked never stands in the log.
            self._rest(f"{settings.file}: {error.strerror}")

    def _keep(self, settings: CandidateSettings, candidate: Candidate) -> None:
        if settings.file not in self._read:
            self._learn(settings.file)
        key = _key(settings.file, candidate.question)
        if self._known.get(key):
            return
        if _add(settings.file, settings.most_bytes, msgspec.json.encode(candidate) + b"\n"):
            self._known.keep(key, True, len(key))
        else:
            self._rest(f"{settings.file} is full (max_mb)")

    def _learn(self, file: Path) -> None:
        """Learn what earlier processes have put into `file`."""
        if file.exists():
            with file.open("rb") as lines:
                for line in lines:
                    question = _question(line)
                    if question is not None:
                        key = _key(file, question)
                        self._known.keep(key, True, len(key))
        self._read.add(file)

    def _rest(self, why: str) -> None:
        self._rests_until = time.monotonic() + REST_SECONDS
        _LOG.warning("No candidates are kept for %g s: %s", REST_SECONDS, why)


def _add(file: Path, most: int, line: bytes) -> bool:
    """Add a whole line to `file`; tell whether there was room for it.

    Raises:
        OSError: it cannot be written; then nothing of the line is there.
    """
    # Only its owner may read what clients have asked.
    opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)  # another proxy of this machine may add to it as well
        size = os.fstat(opened).st_size
        if size + len(line) > most:
            return False
        try:
            if os.write(opened, line) < len(line):
                raise OSError(0, "the disk is full")
        except OSError:
            os.ftruncate(opened, size)
            raise
    finally:
        os.close(opened)
    return True


class _Asked(msgspec.Struct):
    question: str


def _question(line: bytes) -> str | None:
    try:
        return msgspec.json.decode(line, type=_Asked).question
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # its-sft tells whoever reads the file


def _key(file: Path, question: str) -> bytes:
    said = "".join(normal(question)) or question
    return hashlib.sha256(f"{file}\0{said}".encode("utf-8", "surrogatepass")).digest()
