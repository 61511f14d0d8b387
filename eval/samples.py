"""A run's folder: `run.json` says what was asked, `samples.jsonl` holds a row for each answer."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from filelock import FileLock, Timeout

from its.files import atomic_write
from its.types import AnswerKind

from . import lines
from .ballots import light
from .errors import EvalError


@dataclass(frozen=True, slots=True)
class EvalSample:
    """One answer to one problem, or the error that came instead.

    `answer_kind` says how the answer is compared (`its.types.Answer.kind`). `seed` and
    `temperature` are what was asked with, `None` if the request had none. Tokens are `None` where
    the server reported no usage: unknown is not 0. `logprobs` has the fields of
    `its.methods.seam.Logprobs`. `part` is the number of the run's part (see `RunFolder.start`).
    """

    id: str
    sample: int
    seed: int | None
    gold: str
    prompt: str
    text: str | None = None
    reasoning: str | None = None
    answer: str | None = None
    answer_kind: AnswerKind = "math"
    correct: bool = False
    finish_reason: str | None = None
    tokens: int | None = None
    thinking_tokens: int | None = None
    prompt_tokens: int | None = None
    seconds: float = 0.0
    temperature: float | None = None
    logprobs: Mapping[str, float | None] | None = None
    input_time: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    part: int = 0

    @property
    def response_tokens(self) -> int | None:
        if self.tokens is None or self.thinking_tokens is None:
            return None
        return self.tokens - self.thinking_tokens

    @property
    def key(self) -> tuple[str, int]:
        return self.id, self.sample

    @property
    def light(self) -> "EvalSample":
        """The sample without what the models wrote: all that figures need."""
        told = dict(self.input_time)
        told.pop("persona", None)
        if ballots := told.get("ballots"):
            told["ballots"] = [light(ballot) for ballot in ballots]
        return replace(self, text=None, reasoning=None, input_time=told)


class _Key(msgspec.Struct):
    id: str
    sample: int


_FIELDS = frozenset(each.name for each in fields(EvalSample))


FirstProblems: TypeAlias = Callable[[int], str]
"""Gives the hash (`Task.sha256`) of a task's first so many problems."""


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

    The outcomes are read once, when they are first needed; `append` keeps them in step. So one
    object must not outlive the lock: after `locked()` another process may write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._samples_file = path / "samples.jsonl"
        self._run_file = path / "run.json"
        self._outcomes: dict[tuple[str, int], EvalSample] | None = None

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

    def start(
        self,
        settings: Mapping[str, Any],
        about: Mapping[str, Any],
        *,
        fresh: bool,
        first: FirstProblems | None = None,
    ) -> None:
        """Start the run, or go on with it: its settings and all that is known are written down.

        A run may go on with more samples, or with more problems where `first` tells that the run's
        are the first of them.

        Raises:
            EvalError: another run, with other settings, is in the folder.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if fresh:
                self._samples_file.unlink(missing_ok=True)
                self._run_file.unlink(missing_ok=True)
                self._outcomes = None
            if self.exists():
                self._require(settings, first)
                lines.mend(self._samples_file)
            elif self._samples_file.exists():
                raise EvalError(
                    f"{self.path} has answers and no run.json to say of what: --fresh throws them"
                    " away, or choose another --out"
                )
            text = json.dumps({"settings": settings, **about}, indent=2) + "\n"
            atomic_write(self._run_file, text)
        except OSError as error:
            raise EvalError(f"cannot write to {self.path}: {error.strerror}") from error

    def is_finished(
        self,
        settings: Mapping[str, Any],
        *,
        accept_failed: bool = False,
        first: FirstProblems | None = None,
    ) -> bool:
        """Tell whether the run with these settings is here, and nothing of it failed or lacks.

        With `accept_failed` a sample that failed is there too: it counts as wrong.

        Raises:
            EvalError: another run is in the folder.
        """
        if not self.exists():
            return False
        self._require(settings, first)
        lines.mend(self._samples_file)
        found = self.outcomes().values()
        done = [sample for sample in found if accept_failed or sample.error is None]
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
        """Write one row, whole or not at all.

        Raises:
            OSError: the disk is full.
        """
        outcomes = self.outcomes()
        lines.append(self._samples_file, lines.dumps(asdict(sample)))
        outcomes[sample.key] = sample.light

    def outcomes(self) -> dict[tuple[str, int], EvalSample]:
        """Return the last row of each sample without what the models wrote (`EvalSample.light`).

        They are read once and kept: a run of gigabytes has outcomes of some megabytes.

        Raises:
            EvalError: a line of the file is no sample.
        """
        if self._outcomes is None:
            prompts: dict[str, str] = {}  # one text for all samples of a problem
            self._outcomes = {}
            for number, line in lines.read(self._samples_file):
                sample = self._sample(number, line).light
                prompt = prompts.setdefault(sample.prompt, sample.prompt)
                self._outcomes[sample.key] = replace(sample, prompt=prompt)
        return self._outcomes

    def samples(self) -> Iterator[EvalSample]:
        """Yield the last row of each sample with its texts, one at a time, as the file has them.

        A sample that failed is asked again and then answered, so it may have several rows.

        Raises:
            EvalError: a line of the file is no sample.
        """
        last: dict[tuple[str, int], int] = {}
        for number, line in lines.read(self._samples_file):
            last[self._key(number, line)] = number
        for number, line in lines.read(self._samples_file):
            sample = self._sample(number, line)
            if last.get(sample.key) == number:
                yield sample

    def part(self) -> int:
        """Return the number of the run's last part (see `start`)."""
        return max(0, len(self.about().get("parts") or ()) - 1)

    def failed(self) -> int:
        """Return how many samples have an error instead of an answer."""
        return sum(sample.error is not None for sample in self.outcomes().values())

    def _sample(self, number: int, line: bytes) -> EvalSample:
        try:
            row = lines.loads(line)
            return EvalSample(**{key: value for key, value in row.items() if key in _FIELDS})
        except (ValueError, TypeError, AttributeError) as error:
            hint = "delete the line, and its call is asked again"
            raise EvalError(f"{self._samples_file}:{number} is not a sample: {hint}") from error

    def _key(self, number: int, line: bytes) -> tuple[str, int]:
        try:
            key = msgspec.json.decode(line, type=_Key)  # skips the texts, which are most of a row
        except msgspec.DecodeError:
            return self._sample(number, line).key
        return key.id, key.sample

    def _require(self, settings: Mapping[str, Any], first: FirstProblems | None) -> None:
        before = self.settings()
        more = {
            key
            for key in ("problems", "samples")
            if int(settings.get(key) or 0) > int(before.get(key) or 0)
        }
        if "problems" in more and first and first(before["problems"]) == before.get("task_sha256"):
            more.add("task_sha256")
        for key in sorted((before.keys() | settings.keys()) - more):
            if before.get(key) != settings.get(key):
                raise EvalError(
                    f"{self._run_file} holds another run: {key} was {before.get(key)!r} and is"
                    f" {settings.get(key)!r}. Choose another --out, or --fresh to start anew"
                )
