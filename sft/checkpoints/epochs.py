"""The saved epochs of a training, and the held-out questions that choose among them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from its import answers, manifest
from its.manifest import Manifest

from ..data import record as records
from ..errors import CheckpointError


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training: its folder and, where a training file was given, the file and its data."""

    folder: Path
    config: Path | None = None
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """A saved checkpoint; `number` is the epoch, `loss` the one on held-out rows."""

    folder: Path
    known: Manifest
    step: int
    number: float | None
    loss: float | None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def adapter(self) -> bool:
        return (self.folder / "adapter_config.json").is_file()


def run_of(target: Path) -> TrainingRun:
    """Return the training that `target` names: its file, or its folder.

    Raises:
        CheckpointError: it is neither.
    """
    if target.is_dir():
        return TrainingRun(target)
    try:
        content = yaml.safe_load(target.read_text("utf-8"))
        return TrainingRun(
            Path(content["output_dir"]), target, Path(content["datasets"][0]["path"]).parent
        )
    except (OSError, LookupError, TypeError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise CheckpointError(
            f"{target}: is no training file with output_dir and datasets, and no folder: {why}"
        ) from error


def saved(run: TrainingRun) -> list[Epoch]:
    """Return the saved epochs, in their order.

    Raises:
        CheckpointError: there are none.
        ManifestError: one has no manifest, or a broken one.
    """
    found = [folder for folder in run.folder.glob("checkpoint-*") if _step(folder) is not None]
    if not found:
        raise CheckpointError(
            f"{run.folder}: has no checkpoint-*; train first, with saves_per_epoch and a"
            " save_total_limit of as many epochs as are to be compared"
        )
    return [_epoch(folder) for folder in sorted(found, key=lambda folder: _step(folder) or 0)]


def held_out(run: TrainingRun, file: Path | None, epochs: Iterable[Epoch]) -> Path:
    """Return the file of held-out rows, which must be of the data that was trained on.

    Raises:
        CheckpointError: there is none, or it is of other data.
        DataError: the data set's record beside it is missing or broken.
    """
    if file is None and run.data is not None:
        file = run.data / records.HELD_OUT
    if file is None:
        raise CheckpointError("--held-out: name heldout.jsonl, or give the training file")
    if not file.is_file():
        raise CheckpointError(
            f"{file}: is not there; build the data set with --hold-out N, then train"
        )
    record = records.read(file.parent)
    for epoch in epochs:
        was, now = epoch.known.train.dataset, record.train.dataset
        if was is None or now is None or was.sha256 != now.sha256:
            raise CheckpointError(
                f"{file}: is of another build than {epoch.folder} was trained on, so its rows may"
                " have been learnt; take the heldout.jsonl of that training's data"
            )
    return file


def questions(file: Path) -> tuple[list[Mapping[str, str]], int]:
    """Return the rows `{id, problem, answer}` of held-out rows, and how many have no answer.

    Raises:
        CheckpointError: no row states a final answer.
    """
    found: list[Mapping[str, str]] = []
    without = 0
    for number, line in enumerate(file.read_text("utf-8").split("\n"), 1):
        if not line.strip():
            continue
        row: dict[str, Any] = json.loads(line)
        answer = answers.read(row["messages"][-1])
        if answer is None:
            without += 1
            continue
        name = str(row.get("id") or number)
        found.append({"id": name, "problem": row["question"], "answer": answer.text})
    if not found:
        raise CheckpointError(
            f"{file}: no row's answer ends in a \\boxed{{}} or states one otherwise"
        )
    return found, without


def _epoch(folder: Path) -> Epoch:
    known, step = manifest.read(folder), _step(folder) or 0
    try:
        state = json.loads((folder / "trainer_state.json").read_text("utf-8"))
    except (OSError, ValueError):
        state = {}
    logged = [entry for entry in state.get("log_history", []) if "eval_loss" in entry]
    loss = next((float(e["eval_loss"]) for e in logged if e.get("step") == step), None)
    return Epoch(folder, known, step, state.get("epoch"), loss)


def _step(folder: Path) -> int | None:
    number = folder.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else None
