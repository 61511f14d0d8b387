"""A run's folder: `run.json` says what was asked, `samples.jsonl` holds a row for each answer."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from its.files import atomic_write
from its.types import AnswerKind


class RunError(Exception):
    """A run folder that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to one problem, or the error that came instead.

    `answer_kind` says how the answer is compared (`its.types.Answer.kind`).
    """

    id: str
    sample: int
    seed: int
    gold: str
    prompt: str
    text: str | None = None
    reasoning: str | None = None
    answer: str | None = None
    answer_kind: AnswerKind = "math"
    correct: bool = False
    finish_reason: str | None = None
    tokens: int = 0
    thinking_tokens: int = 0
    prompt_tokens: int = 0
    seconds: float = 0.0
    input_time: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def response_tokens(self) -> int:
        return self.tokens - self.thinking_tokens

    @property
    def key(self) -> tuple[str, int]:
        return self.id, self.sample


def runs_in(folders: Iterable[Path]) -> list[Path]:
    """Return run folders: those given, and for a folder of runs (a matrix's cells) those in it."""
    found: list[Path] = []
    for folder in folders:
        inside = [] if _is_run(folder) else sorted(filter(_is_run, folder.glob("*/")))
        found += inside or [folder]
    return found


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file()


class RunFolder:
    """Append-only: a kill loses the calls in flight and nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._samples = path / "samples.jsonl"
        self._run = path / "run.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out: two would cut off each other's rows and ask everything twice.

        Raises:
            RunError: another run is at work in the folder, or it cannot be written.
        """
        lock = FileLock(self.path / "lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise RunError(f"{self.path}: another run is at work here") from None
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror}") from error
        try:
            yield
        finally:
            if not self._run.exists():  # nothing was begun: no folder that looks like a run's
                Path(lock.lock_file).unlink()
                with suppress(OSError):
                    self.path.rmdir()
            lock.release()

    def open(self, settings: Mapping[str, Any], about: Mapping[str, Any], fresh: bool) -> None:
        """Start the run, or go on with it: its settings and all that is known are written down.

        Raises:
            RunError: another run, with other settings, is in the folder.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if fresh:
                self._samples.unlink(missing_ok=True)
                self._run.unlink(missing_ok=True)
            if self._run.exists():
                self._hold_to(settings)
                self._mend()
            elif self._samples.exists():
                raise RunError(
                    f"{self.path} has answers and no run.json to say of what: --fresh throws them"
                    " away, or choose another --out"
                )
            text = json.dumps({"settings": settings, **about}, indent=2) + "\n"
            atomic_write(self._run, text)
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror}") from error

    def finished(self, settings: Mapping[str, Any]) -> bool:
        """Tell whether the run with these settings is here, and nothing of it failed or lacks.

        Raises:
            RunError: another run is in the folder.
        """
        if not self._run.exists():
            return False
        self._hold_to(settings)
        self._mend()
        done = [sample for sample in self.latest().values() if sample.error is None]
        return len(done) >= int(settings["problems"]) * int(settings["samples"])

    def settings(self) -> dict[str, Any]:
        """Return the settings that the run was made with.

        Raises:
            RunError: there is no run in the folder.
        """
        return dict(self.about()["settings"])

    def about(self) -> dict[str, Any]:
        """Return all that was written down about the run.

        Raises:
            RunError: there is no run in the folder.
        """
        try:
            about: dict[str, Any] = json.loads(self._run.read_text("utf-8"))
            dict(about["settings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self._run} is not a run's ({type(error).__name__})") from error
        return {"command": "", "commit": None, **about}

    def append(self, sample: Sample) -> None:
        """Write one row, whole: a single write to a file opened for appending."""
        data = (json.dumps(asdict(sample), ensure_ascii=False) + "\n").encode()
        file = os.open(self._samples, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)

    def latest(self) -> dict[tuple[str, int], Sample]:
        """Return the last row of each sample; one that failed is asked again and then answered."""
        return {sample.key: sample for sample in self._rows()}

    def _rows(self) -> Iterator[Sample]:
        if not self._samples.exists():
            return
        with self._samples.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Sample(**json.loads(line))
                except (ValueError, TypeError) as error:
                    raise RunError(f"{self._samples}:{number} is not a sample") from error

    def _hold_to(self, settings: Mapping[str, Any]) -> None:
        before = self.settings()
        for key in sorted(before.keys() | settings.keys()):
            if before.get(key) != settings.get(key):
                raise RunError(
                    f"{self._run} holds another run: {key} was {before.get(key)!r} and is"
                    f" {settings.get(key)!r}. Choose another --out, or --fresh to start anew"
                )

    def _mend(self) -> None:
        """Cut off a last line that a kill or a full disk left unfinished."""
        if not self._samples.exists():
            return
        with self._samples.open("rb+") as file:
            whole = file.read()
            file.truncate(whole.rfind(b"\n") + 1)
