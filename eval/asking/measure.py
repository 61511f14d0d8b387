"""Measure one model on one task: ask what the folder lacks, and write its figures down."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import openai

from its.answers.algebra.workers import Workers
from its.cli import note_console
from its.files import atomic_write

from ..commit import commit
from ..errors import EvalError
from ..figures.scores import ScoreRows, scores, summary
from ..figures.sources import mixed_fault, sources_of
from ..pages.progress import run_bar
from ..samples import RunFolder
from .ask_all import RunSpec, Stopped, ask_all, connect
from .settle import COMMAND, settle

CARDS = 50
"""Models whose cards are kept in `run.json`; a public server may list thousands."""


def settings_of(spec: RunSpec) -> dict[str, Any]:
    """Return what the command says of the samples: the same settings go on with the same run.

    What it leaves open is settled with the server, and kept under `asked` (`settle.Settled`).
    """
    sampling = asdict(spec.sampling)
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


def measure(spec: RunSpec) -> tuple[RunFolder, ScoreRows]:
    """Ask what the folder lacks, write `summary.json`; return the run and its figures.

    A finished run needs no server, and keeps the record of when it was made.

    Raises:
        EvalError: another run is in the folder, or at work there; the server cannot be asked, a
            call failed, somebody interrupted, or the contexts are of mixed sources. What was
            answered until then is kept.
    """
    about: dict[str, Any] = {
        "command": shlex.join(sys.argv),
        "base_url": spec.base_url,
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
    if not spec.fresh and folder.is_finished(settings_of(spec)):
        return _summarise(spec, folder)
    try:
        asyncio.run(_ask(spec, folder, about))
    except KeyboardInterrupt:
        _summarise(spec, folder)
        message = f"interrupted; what is done is in {spec.folder}: the same command goes on with it"
        raise EvalError(message, 130) from None
    except Stopped as error:
        _summarise(spec, folder)
        raise EvalError(f"stopped at the first failed call: {error}", 1) from error
    return _summarise(spec, folder)


def _require_one_source(spec: RunSpec, folder: RunFolder) -> None:
    """Refuse figures of contexts that come from the bank and from a model alike."""
    fault = mixed_fault(sources_of(folder.samples().values()), spec.max_mixed)
    if fault:
        raise EvalError(f"{spec.folder}: {fault}", 1)


async def _ask(spec: RunSpec, folder: RunFolder, about: Mapping[str, Any]) -> None:
    key = os.environ.get("OPENAI_API_KEY") or "none"
    try:
        server = await connect(spec.base_url, key)
    except openai.OpenAIError as error:
        raise EvalError(f"cannot ask {spec.base_url}: {error}", 1) from error
    cards = dict(list(server.cards.items())[:CARDS])
    cards |= {k: v for k, v in server.cards.items() if k == spec.sampling.model}
    total = len(spec.task.problems) * spec.sampling.samples
    try:
        settled = settle(spec, server.input_time(spec.sampling.model))
        asked = {"asked": settled.record()}
        if not spec.fresh:
            _require_same(folder, asked["asked"])
        folder.start(settings_of(spec), {**about, **asked, "models": cards}, fresh=spec.fresh)
        note_console().print(settled.told(), markup=False, highlight=False)
        spec = settled.spec(spec)
        with Workers() as graders, run_bar(total, folder.samples().values()) as on_sample:
            await ask_all(spec, server, folder, graders, on_sample)
    finally:
        await server.client.close()


def _require_same(folder: RunFolder, asked: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was asked otherwise: the server says another thing now."""
    before = folder.about().get("asked") if folder.exists() else None
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
    text = json.dumps(summary(folder, found), indent=2) + "\n"
    atomic_write(spec.folder / "summary.json", text)
    return found
