"""The command `its-sft select`: every saved epoch is asked behind the proxy, the best is named.

The proxy and the harness are run as their users run them, as child processes.
"""

import json
import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from rich.console import Console

from its import children
from its.cli import Column, Sheet
from its.files import atomic_write

from ..errors import AxolotlError, CheckpointError
from . import epochs as epochs_
from .epochs import Epoch, TrainingRun
from .export import export

STOP_SECONDS = 20.0
FOLDER = "select"
"""Where a training's folder keeps what was asked; the same command goes on with it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How each question is asked. `served` names engines by checkpoint: URL, or URL#MODEL."""

    served: Mapping[str, str]
    max_tokens: int
    temperature: float
    samples: int
    concurrency: int
    quantize: str


@dataclass(frozen=True, slots=True)
class Score:
    """How an epoch did: the share of right answers."""

    epoch: Epoch
    share: float
    problems: int


def select(target: Path, file: Path | None, asking: Asking, console: Console) -> Path:
    """Ask every saved epoch of a training for the held-out questions; return the best's folder.

    Raises:
        CheckpointError: epochs cannot be compared, or one could not be served or asked.
    """
    run = epochs_.run_of(target)
    found = epochs_.saved(run)
    rows, without = epochs_.questions(epochs_.held_out(run, file, found))
    unknown = set(asking.served) - {epoch.name for epoch in found}
    if unknown:
        names = ", ".join(epoch.name for epoch in found)
        raise CheckpointError(f"--served: no {', '.join(sorted(unknown))} in {run.folder}: {names}")
    place = run.folder / FOLDER
    place.mkdir(exist_ok=True)
    task = place / "heldout.jsonl"
    atomic_write(task, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    if without:
        console.print(f"{without} held-out rows state no final answer and are not asked")
    scores = []
    for number, epoch in enumerate(found, 1):
        console.print(f"[{number}/{len(found)}] {epoch.name}", markup=False, style="bold")
        with _engine(run, epoch, place, asking, console) as engine:
            scores.append(_asked(epoch, engine, task, place, asking))
    best = max(scores, key=_rank)
    _print_summary(scores, best, place, console)
    return best.epoch.folder


def _rank(score: Score) -> tuple[float, float]:
    """Order by right answers, then by the loss on the same rows."""
    return score.share, -(math.inf if score.epoch.loss is None else score.epoch.loss)


@contextmanager
def _engine(
    run: TrainingRun, epoch: Epoch, place: Path, asking: Asking, console: Console
) -> Iterator[Mapping[str, str]]:
    """Yield the configuration's engine of an epoch: one that runs, or a GGUF file made for it."""
    if url := asking.served.get(epoch.name):
        base, _, model = url.partition("#")
        yield {"base_url": base, "model": model or epoch.name}
        return
    if asking.served:
        raise CheckpointError(f"--served: names no engine for {epoch.name}")
    file = place / epoch.name / "model.gguf"
    try:
        export(_whole(run, epoch, place, console), file, asking.quantize, console)
        yield {"embedded": str(file.resolve()), "model": epoch.name}
    finally:
        file.unlink(missing_ok=True)


def _whole(run: TrainingRun, epoch: Epoch, place: Path, console: Console) -> Path:
    """Return the folder of the epoch's whole model, merged where it is an adapter."""
    if not epoch.adapter:
        return epoch.folder
    if run.config is None:
        raise CheckpointError(f"{epoch.folder}: is an adapter; give the training file, to merge it")
    from ..training import train as runs

    try:
        return runs.merge_into(run.config, epoch.folder, place / epoch.name, console)
    except AxolotlError as error:
        raise CheckpointError(str(error)) from error


def _asked(
    epoch: Epoch, engine: Mapping[str, str], task: Path, place: Path, asking: Asking
) -> Score:
    """Ask one epoch by `its-eval run`, behind a proxy that takes its manifest."""
    folder = place / epoch.name
    folder.mkdir(exist_ok=True)
    config = folder / "panels.toml"
    atomic_write(config, _configuration(epoch, engine))
    with _proxy(config) as url:
        words = [
            task, "--base-url", url, "--model", epoch.name, "--out", folder / "run",
            "--max-tokens", asking.max_tokens, "--temperature", asking.temperature,
            "--samples", asking.samples, "--concurrency", asking.concurrency,
        ]  # fmt: skip
        command = children.python("eval", "run", *words)
        ran = subprocess.run(command, env=children.environment(), check=False)
    if ran.returncode != 0:
        raise CheckpointError(
            f"{epoch.name}: its-eval ended with {ran.returncode}; nothing is lost"
        )
    summary = json.loads((folder / "run" / "summary.json").read_text("utf-8"))
    figures = summary["models"][-1]
    return Score(epoch, float(figures["pass_at_1"]["value"]), int(figures["problems"]))


def _configuration(epoch: Epoch, engine: Mapping[str, str]) -> str:
    """Return the proxy's configuration (TOML) for one epoch."""
    where = {key: value for key, value in engine.items() if key != "model"}
    member = {
        "engine": "e", "model": engine["model"], "manifest": str(epoch.folder.resolve()),
    }  # fmt: skip
    return tomlkit.dumps({"engines": {"e": where}, "members": {epoch.name: member}})


@contextmanager
def _proxy(config: Path) -> Iterator[str]:
    """Run `its-proxy serve` on a free port; yield its address."""
    words = children.python("proxy", "serve", "--config", config, "--port", 0)
    log = config.with_name("proxy.log")
    with log.open("w") as said:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=said, text=True, env=children.environment()
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("serving on "):
                told = " ".join(log.read_text("utf-8").split())[-600:]
                raise CheckpointError(
                    f"{config}: the proxy did not start: {told or 'it said nothing'}"
                )
            yield line.removeprefix("serving on ").strip()
        finally:
            # communicate() and not wait(): a full pipe would keep the proxy from ending.
            process.terminate()
            try:
                process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _print_summary(scores: Sequence[Score], best: Score, place: Path, console: Console) -> None:
    """Print a table of the epochs, and write it to `select.json`."""
    columns = [
        Column("checkpoint", text=True), Column("epoch", "{:.2f}".format, missing=""),
        Column("right"), Column("share", "{:.1%}".format),
        Column("held-out loss", "{:.4f}".format, missing=""), Column("", text=True),
    ]  # fmt: skip
    rows = [
        [score.epoch.name, score.epoch.number,
         f"{score.share * score.problems:g} of {score.problems}", score.share, score.epoch.loss,
         "best" if score is best else ""]
        for score in scores
    ]  # fmt: skip
    console.print(Sheet("", columns, rows))
    near = [score.epoch.name for score in scores if score is not best and _near(best, score)]
    if near:
        console.print(
            f"Within noise of the best on {best.problems} questions: {', '.join(near)}."
            " Hold out more rows to tell them apart.",
            markup=False,
        )  # fmt: skip
    atomic_write(place / "select.json", json.dumps(_plain(scores, best), indent=2) + "\n")


def _near(best: Score, other: Score) -> bool:
    """Tell whether two shares differ by less than twice the standard error of their difference."""
    mean = (best.share + other.share) / 2
    return best.share - other.share < 2 * math.sqrt(2 * mean * (1 - mean) / best.problems) + 1e-9


def _plain(scores: Sequence[Score], best: Score) -> dict[str, Any]:
    return {
        "best": best.epoch.name,
        "problems": best.problems,
        "epochs": [
            {
                "checkpoint": score.epoch.name, "step": score.epoch.step,
                "epoch": score.epoch.number, "share": score.share, "eval_loss": score.epoch.loss,
            }
            for score in scores
        ],
    }  # fmt: skip
