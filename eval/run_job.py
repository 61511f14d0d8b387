"""The command `its-eval run`: its folder, its bar, what it writes down, how it ends."""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import openai

from its.answers.algebra.workers import Workers
from its.files import atomic_write

from . import report
from . import run as runner
from .ask import Patience
from .figures import Prices
from .progress import bar
from .run import Sampling, Stopped
from .samples import RunFolder
from .tasks import Task

CARDS = 50
"""Models whose cards are kept in `run.json`; a public server may list thousands."""


class EndError(Exception):
    """A run that ended early; `code` is the command's. What is done is kept."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Job:
    """A run as it was asked for."""

    task: Task
    base_url: str
    sampling: Sampling
    folder: Path
    concurrency: int
    patience: Patience
    stop_on_error: bool
    fresh: bool
    prices: Prices | None

    @property
    def settings(self) -> dict[str, Any]:
        """Return what decides the samples: the same settings go on with the same run."""
        return {
            "task": self.task.name,
            "task_sha256": self.task.sha256,
            "problems": len(self.task.problems),
            "instruction": self.task.instruction,
            **asdict(self.sampling),
        }


def measure(job: Job) -> int:
    """Ask what the folder lacks, write `summary.json`; return how many samples failed.

    A finished run needs no server, and keeps the record of when it was made.

    Raises:
        RunError: another run is in the folder, or at work there.
        EndError: the server cannot be asked, a call failed, or somebody interrupted.
    """
    about: dict[str, Any] = {
        "command": shlex.join(sys.argv),
        "base_url": job.base_url,
        "versions": {name: version(name) for name in ("input-time-scaling", "openai")},
        "commit": commit(),
    }
    folder = RunFolder(job.folder)
    try:
        with folder.alone():
            return _done(job, folder, about)
    except OSError as error:
        raise EndError(
            f"cannot write to {job.folder}: {error.strerror}; what is done is kept", 1
        ) from error


def _done(job: Job, folder: RunFolder, about: Mapping[str, Any]) -> int:
    if not job.fresh and folder.finished(job.settings):
        _summarise(job)
        return 0
    try:
        asyncio.run(_measure(job, folder, about))
    except KeyboardInterrupt:
        _summarise(job)
        message = f"interrupted; what is done is in {job.folder}: the same command goes on with it"
        raise EndError(message, 130) from None
    except Stopped as error:
        _summarise(job)
        raise EndError(f"stopped at the first failed call: {error}", 1) from error
    _summarise(job)
    return sum(sample.error is not None for sample in folder.latest().values())


async def _measure(job: Job, folder: RunFolder, about: Mapping[str, Any]) -> None:
    key = os.environ.get("OPENAI_API_KEY") or "none"
    try:
        server = await runner.connect(job.base_url, key)
    except openai.OpenAIError as error:
        raise EndError(f"cannot ask {job.base_url}: {error}", 1) from error
    cards = dict(list(server.cards.items())[:CARDS])
    cards |= {k: v for k, v in server.cards.items() if k == job.sampling.model}
    total = len(job.task.problems) * job.sampling.samples
    try:
        folder.open(job.settings, {**about, "models": cards}, job.fresh)
        with Workers() as graders, bar(total, folder.latest().values()) as on_sample:
            await runner.run(
                job.task, server, job.sampling, folder, concurrency=job.concurrency,
                patience=job.patience, stop_on_error=job.stop_on_error, graders=graders,
                on_sample=on_sample,
            )  # fmt: skip
    finally:
        await server.client.close()


def _summarise(job: Job) -> None:
    if not (job.folder / "run.json").exists():
        return  # it was interrupted before it began
    with Workers() as graders:
        found = report.summary(job.folder, graders, job.prices)
    atomic_write(job.folder / "summary.json", json.dumps(found, indent=2) + "\n")


def commit() -> str | None:
    """Return the project's git commit, with `+` if files were changed since; `None` outside git."""
    here = Path(__file__).parent
    line = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        ended = subprocess.run(line, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip() or None
