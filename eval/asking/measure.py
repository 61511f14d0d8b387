"""Measure one model on one task: ask what the folder lacks, and write its figures down."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

from rich.console import Console

from its import suggest
from its.answers.algebra.workers import Workers
from its.files import atomic_write
from its.urls import without_secret

from ..commit import commit
from ..errors import EvalError
from ..figures.scores import ScoreRows, missing, scores, summary
from ..figures.shares import write_shares
from ..figures.sources import mixed_fault, sources_of
from ..grading.scorers import keep_task
from ..pages.progress import RunProgress, run_progress
from ..samples import FirstProblems, RunFolder
from .ask_all import RunSpec, Stopped, ask_all
from .parts import AskedServer, next_parts
from .patience import Patience
from .request import body_of, unanswered
from .server import ServedModels, compose, connect
from .settle import COMMAND, Settled, settle

TICK_SECONDS = 1.0

CARDS = 50
"""Models whose cards are kept in `run.json`; a public server may list thousands."""


def settings_of(spec: RunSpec) -> dict[str, Any]:
    """Return what the command says of the samples: the same settings go on with the same run.

    What it leaves open is settled with the server, and kept under `asked` (`settle.Settled`).
    """
    sampling = asdict(spec.sampling)
    if sampling["answers"] == "auto":
        sampling["answers"] = spec.task.answers
    given = sampling.pop("instruction")
    said = {"instruction": spec.task.instruction}
    if given is not None:
        said = {"instruction": given, "instruction_from": COMMAND}
    return {
        "task": spec.task.name,
        "task_sha256": spec.task.sha256,
        "problems": len(spec.task.problems),
        **said,
        **sampling,
    }


class RunStopped(EvalError):
    """A run that ended early, in order: what is done is kept, and has figures (`found`)."""

    def __init__(self, message: str, status: int, folder: RunFolder, found: ScoreRows) -> None:
        super().__init__(message, status)
        self.folder, self.found = folder, found


def measure(spec: RunSpec) -> tuple[RunFolder, ScoreRows]:
    """Ask what the folder lacks, write `summary.json`; return the run and its figures.

    A finished run needs no server, and keeps the record of when it was made.

    Raises:
        RunStopped: a call failed, the server went away, a limit was reached, or somebody
            interrupted.
        EvalError: another run is in the folder, or at work there; the server cannot be asked, or
            the contexts are of mixed sources. What was answered until then is kept.
    """
    about: dict[str, Any] = {
        "command": without_secret(shlex.join(sys.argv)),
        "versions": {name: version(name) for name in ("input-time-scaling", "openai")},
        "commit": commit(),
    }
    folder = RunFolder(spec.folder)
    try:
        with folder.locked():
            found = _ask_and_summarise(spec, folder, about)
            _require_one_source(spec, folder)
            return folder, found
    except OSError as error:
        raise EvalError(
            f"cannot write to {spec.folder}: {error.strerror}; what is done is kept", 1
        ) from error


def _ask_and_summarise(spec: RunSpec, folder: RunFolder, about: Mapping[str, Any]) -> ScoreRows:
    spec = _with_samples(spec, folder)
    accept, first = spec.accept_failed, _first(spec)
    if not spec.fresh and folder.is_finished(settings_of(spec), accept_failed=accept, first=first):
        return _summarise(spec, folder)
    why: BaseException
    try:
        asyncio.run(_ask(spec, folder, about))
    except KeyboardInterrupt as error:
        message = f"interrupted; what is done is in {spec.folder}: the same command goes on with it"
        why, status = error, 130
    except Stopped as error:
        message, why, status = f"{error}. What is done is kept in {spec.folder}", error, 1
    else:
        return _summarise(spec, folder)
    raise RunStopped(message, status, folder, _summarise(spec, folder)) from why


def _with_samples(spec: RunSpec, folder: RunFolder) -> RunSpec:
    """Return `spec` with the samples of the run in the folder, where the command says none."""
    if spec.sampling.samples is not None or spec.fresh or not folder.exists():
        return spec
    before = int(folder.settings().get("samples") or 1)
    return replace(spec, sampling=replace(spec.sampling, samples=before))


def _first(spec: RunSpec) -> FirstProblems:
    return lambda number: replace(spec.task, problems=spec.task.problems[:number]).sha256


def _require_one_source(spec: RunSpec, folder: RunFolder) -> None:
    """Refuse figures of contexts that come from the bank and from a model alike."""
    fault = mixed_fault(sources_of(folder.outcomes().values()), spec.max_mixed)
    if fault:
        raise EvalError(f"{spec.folder}: {fault}", 1)


async def _ask(spec: RunSpec, folder: RunFolder, about: Mapping[str, Any]) -> None:
    key = (os.environ.get("OPENAI_API_KEY") or "none").strip()
    server = await connect(spec.base_url, key, _say)
    try:
        for note in server.notes:
            _say(note)
        settled = await _settled(spec, server)
        asked = settled.spec(spec)
        _begin(spec, settled, server, folder, about)
        _say(settled.told(), "")
        if warning := settled.warning(len(spec.task.problems)):
            _say(warning)
        total = len(spec.task.problems) * settled.samples
        patience = Patience(spec.patience)
        with (
            Workers() as graders,
            run_progress(total, folder.outcomes().values(), patience.told) as progress,
        ):
            ticking = asyncio.create_task(_tick(progress))
            try:
                await ask_all(asked, server, folder, graders, progress.on_sample, patience)
            finally:
                ticking.cancel()
    finally:
        await server.client.close()


async def _tick(progress: RunProgress) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        progress.tick()


def _say(text: str, style: str = "yellow") -> None:
    Console(stderr=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


async def _settled(spec: RunSpec, server: ServedModels) -> Settled:
    """Return how the model is asked, if the server has it and takes what it is asked with.

    Raises:
        EvalError: it has not, or does not.
    """
    model, cards = spec.sampling.model, server.cards
    if cards and model not in cards and not spec.unlisted:
        told = suggest.unknown("model", model, list(cards)[:CARDS])
        raise EvalError(f"{told} (--unlisted asks it nevertheless)")
    settled = settle(spec, cards.get(model, {}))
    if not spec.task.problems:
        return settled
    if server.input_time(model) is not None:
        begun = unanswered(spec, spec.task.problems[0], 0, 0)
        body = body_of(server.input_time(model), settled.spec(spec).sampling, begun)
        await compose(server, {k: body[k] for k in ("model", "messages", "input_time")})
    elif spec.sampling.strategy and model in cards:
        raise EvalError(
            f"--strategy: {without_secret(server.url)} is no proxy of ours, and would ignore it"
        )
    return settled


def _begin(
    spec: RunSpec,
    settled: Settled,
    server: ServedModels,
    folder: RunFolder,
    about: Mapping[str, Any],
) -> None:
    """Write down what is asked, of whom.

    Raises:
        EvalError: the folder holds a run that was asked otherwise, or of another server.
    """
    model = spec.sampling.model
    cards = dict(list(server.cards.items())[:CARDS])
    cards |= {name: card for name, card in server.cards.items() if name == model}
    record = settled.record()
    before = folder.about() if folder.exists() and not spec.fresh else {}
    if before:
        _require_same(folder, before.get("asked"), record)
    asked = AskedServer.of(server, model)
    parts = next_parts(before.get("parts") or [], asked, about, other=spec.other_server)
    sampling = replace(spec.sampling, samples=settled.samples)
    folder.start(
        settings_of(replace(spec, sampling=sampling)),
        {**about, "base_url": asked.base_url, "server": dict(asked.server), "asked": record,
         "parts": parts, "models": cards},
        fresh=spec.fresh, first=_first(spec),
    )  # fmt: skip
    keep_task(spec.task, spec.folder)


def _require_same(
    folder: RunFolder, before: Mapping[str, Any] | None, asked: Mapping[str, Any]
) -> None:
    """Refuse to go on with a run that was asked otherwise: the server says another thing now."""
    for name, was in (before or asked).items():
        if was != asked.get(name) and name != "said_by":
            raise EvalError(
                f"{folder.path}: was asked with {name} {was!r}, and the server's card of the model"
                f" now makes it {asked.get(name)!r}. Say it in the command, choose another --out,"
                " or --fresh to start anew"
            )


def _summarise(spec: RunSpec, folder: RunFolder) -> ScoreRows:
    if not folder.exists():
        return []  # it was interrupted before it began
    with Workers() as graders:  # those of the run may have ended with a Ctrl-C
        found = scores(folder, graders, spec.prices)
        if not missing(folder):
            write_shares(folder, [problem.id for problem in spec.task.problems], graders)
    text = json.dumps(summary(folder, found), indent=2) + "\n"
    atomic_write(spec.folder / "summary.json", text)
    return found
