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

from .errors import EvalError


@dataclass(frozen=True, slots=True)
class EvalSample:
    """One answer to one problem, or the error that came instead.

    `answer_kind` says how the answer is compared (`its.types.Answer.kind`). `seed` and
    `temperature` are what was asked with; `logprobs` has the fields of `its.methods.seam.Logprobs`.
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
    temperature: float | None = None
    logprobs: Mapping[str, float | None] | None = None
    input_time: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def response_tokens(self) -> int:
        return self.tokens - self.thinking_tokens

    @property
    def key(self) -> tuple[str, int]:
        return self.id, self.sample


def run_folders(folders: Iterable[Path]) -> list[Path]:
    """Return run folders: those given, and for a folder of runs (a matrix's cells) those in it."""
    found: list[Path] = []
    for folder in folders:
        inside = [] if _is_run(folder) else sorted(filter(_is_run, folder.glob("*/")))
        found += inside or [folder]
    return found


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file()


class RunFolder:
    """A run on the disk, append-only: a kill loses the calls in flight and nothing else.

    `samples.jsonl` is parsed once, when it is first needed; `append` keeps the copy in step. So one
    object must not outlive the lock: after `locked()` another process may write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._samples_file = path / "samples.jsonl"
        self._run_file = path / "run.json"
        self._samples: dict[tuple[str, int], EvalSample] | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out: two would cut off each other's rows and ask everything twice.

        Raises:
            EvalError: another run is at work in the folder, or it cannot be written.
        """
        lock = FileLock(self.path / "lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise EvalError(f"{self.path}: another run is at work here") from None
        except OSError as error:
            raise EvalError(f"cannot write to {self.path}: {error.strerror}") from error
        try:
            yield
        finally:
            if not self.exists():  # nothing was begun: no folder that looks like a run's
                Path(lock.lock_file).unlink()
                with suppress(OSError):
                    self.path.rmdir()
            lock.release()

    def exists(self) -> bool:
        """Tell whether a run was begun here."""
        return self._run_file.exists()

    def start(self, settings: Mapping[str, Any], about: Mapping[str, Any], *, fresh: bool) -> None:
        """Start the run, or go on with it: its settings and all that is known are written down.

        Raises:
            EvalError: another run, with other settings, is in the folder.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if fresh:
                self._samples_file.unlink(missing_ok=True)
                self._run_file.unlink(missing_ok=True)
                self._samples = None
            if self.exists():
                self._require(settings)
                self._cut_unfinished_line()
            elif self._samples_file.exists():
                raise EvalError(
                    f"{self.path} has answers and no run.json to say of what: --fresh throws them"
                    " away, or choose another --out"
                )
            text = json.dumps({"settings": settings, **about}, indent=2) + "\n"
            atomic_write(self._run_file, text)
        except OSError as error:
            raise EvalError(f"cannot write to {self.path}: {error.strerror}") from error

    def is_finished(self, settings: Mapping[str, Any]) -> bool:
        """Tell whether the run with these settings is here, and nothing of it failed or lacks.

        Raises:
            EvalError: another run is in the folder.
        """
        if not self.exists():
            return False
        self._require(settings)
        self._cut_unfinished_line()
        done = [sample for sample in self.samples().values() if sample.error is None]
        return len(done) >= int(settings["problems"]) * int(settings["samples"])

    def settings(self) -> dict[str, Any]:
        """Return the settings that the run was made with.

        Raises:
            EvalError: there is no run in the folder.
        """
        return dict(self.about()["settings"])

    def about(self) -> dict[str, Any]:
        """Return all that was written down about the run.

        Raises:
            EvalError: there is no run in the folder.
        """
        try:
            about: dict[str, Any] = json.loads(self._run_file.read_text("utf-8"))
            dict(about["settings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EvalError(f"{self._run_file} is not a run's ({type(error).__name__})") from error
        return {"command": "", "commit": None, **about}

    def append(self, sample: EvalSample) -> None:
        """Write one row, whole: a single write to a file opened for appending.

        Raises:
            OSError: the disk is full.
        """
        samples = self.samples()
        data = (json.dumps(asdict(sample), ensure_ascii=False) + "\n").encode()
        file = os.open(self._samples_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)
        samples[sample.key] = sample

    def samples(self) -> dict[tuple[str, int], EvalSample]:
        """Return the last row of each sample; one that failed is asked again and then answered.

        Raises:
            EvalError: a line of the file is no sample.
        """
        if self._samples is None:
            self._samples = {sample.key: sample for sample in self._parsed()}
        return self._samples

    def failed(self) -> int:
        """Return how many samples have an error instead of an answer."""
        return sum(sample.error is not None for sample in self.samples().values())

    def _parsed(self) -> Iterator[EvalSample]:
        if not self._samples_file.exists():
            return
        with self._samples_file.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield EvalSample(**json.loads(line))
                except (ValueError, TypeError) as error:
                    raise EvalError(f"{self._samples_file}:{number} is not a sample") from error

    def _require(self, settings: Mapping[str, Any]) -> None:
        before = self.settings()
        for key in sorted(before.keys() | settings.keys()):
            if before.get(key) != settings.get(key):
                raise EvalError(
                    f"{self._run_file} holds another run: {key} was {before.get(key)!r} and is"
                    f" {settings.get(key)!r}. Choose another --out, or --fresh to start anew"
                )

    def _cut_unfinished_line(self) -> None:
        """Cut off a last line that a kill or a full disk left unfinished."""
        if not self._samples_file.exists():
            return
        with self._samples_file.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
