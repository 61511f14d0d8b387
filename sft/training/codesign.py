"""Data and checkpoint under one contract: what is trained on is what was declared, and is recorded.

Knows nothing of Axolotl; `plugin` calls it at the right moments.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from its import manifest, strategies
from its.manifest import CoDesign, Manifest, ManifestError, Test, Train
from its.sampling import recommended
from its.types import Placement

from ..data import record as records
from ..data.record import DatasetRecord
from ..errors import DataError, TrainingError


class Sampled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`input_time.test:` of a training file; null leaves a value to the engine."""

    temperature: Annotated[float, msgspec.Meta(ge=0)] | msgspec.UnsetType | None = msgspec.UNSET
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | msgspec.UnsetType | None = msgspec.UNSET
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType | None = msgspec.UNSET
    thinking: bool | msgspec.UnsetType | None = msgspec.UNSET


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The block `input_time:` of a training file: what its data must be.

    `batch` is the number of rows a step that the file was written for; without it, any will do.
    So it is with `system` and `instruction`: where the file is silent, the data may have any.
    `test` is how to ask the checkpoint, where it is not as the base's makers recommend.
    """

    strategy: manifest.StrategyName
    placement: str = "before"
    test_strategy: manifest.StrategyName | None = None
    batch: int | None = None
    system: str | msgspec.UnsetType | None = msgspec.UNSET
    instruction: str | msgspec.UnsetType | None = msgspec.UNSET
    instruction_placement: Placement | msgspec.UnsetType = msgspec.UNSET
    test: Sampled = Sampled()

    def asked(self, base_model: str) -> Test:
        """Return how the checkpoint is to be asked."""
        said = msgspec.structs.asdict(self.test)
        return msgspec.structs.replace(
            recommended(base_model),
            strategy=self.test_strategy or self.strategy,
            **{name: value for name, value in said.items() if value is not msgspec.UNSET},
        )

    def __post_init__(self) -> None:
        for name in (self.strategy, self.test_strategy or self.strategy):
            strategies.get(name)


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """How a step comes about: processes, and the rows of a step."""

    world_size: int
    batch: int

    @classmethod
    def of(cls, cfg: Mapping[str, Any], world_size: int) -> "TrainingStep":
        """Read it from Axolotl's configuration; GPUs that share a row count once."""
        shared = (cfg.get("context_parallel_size") or 1) * (cfg.get("tensor_parallel_size") or 1)
        each = int(cfg["micro_batch_size"]) * int(cfg.get("gradient_accumulation_steps") or 1)
        return cls(world_size, each * max(1, world_size // shared))


def declared(block: Mapping[str, Any] | None) -> Declared:
    """Read the block `input_time:`.

    Raises:
        TrainingError: it is missing or wrong, or asks for another test than the training allows.
    """
    if block is None:
        raise TrainingError(
            "input_time: is missing; say `strategy:` as the data set was built, so that the"
            " checkpoint knows how it was trained"
        )
    try:
        found = msgspec.convert(dict(block), Declared)
    except msgspec.ValidationError as error:
        raise TrainingError(f"input_time: {error}") from error
    asked = found.test_strategy or found.strategy
    try:
        stages = Manifest(manifest.SCHEMA, "", Train(found.strategy), Test(asked))
    except ValueError as error:
        raise TrainingError(f"input_time: {error}") from error
    if manifest.check(stages, asked) is not CoDesign.VERIFIED:
        raise TrainingError(
            f"input_time: trained with `{found.strategy}` and asked with `{asked}`: a context"
            " stands in both stages or in none (Input-Time Scaling, arXiv 2508.13654)"
        )
    return found


def setting_faults(cfg: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings with which nobody could say what a checkpoint was trained on."""
    datasets = cfg.get("datasets") or []
    if len(datasets) != 1:
        yield "datasets: must name one data set of `its-sft build`: a checkpoint has one record"
    for key in ("rl", "reward_model", "process_reward_model", "pretraining_dataset"):
        if cfg.get(key):
            yield f"{key}: the data are questions with answers; take it out"
    if cfg.get("lora_model_dir"):
        yield (
            "lora_model_dir: training would go on from an adapter that may have learnt other data,"
            " and the manifest would not say so; merge it, and name the result as base_model"
        )
    for key in ("streaming", "skip_prepare_dataset"):
        if cfg.get(key):
            yield f"{key}: the rows could not be checked before training; set it to false"
    if cfg.get("sample_packing"):
        yield (
            "sample_packing: a step would have another number of rows than `batch`, and the rows of"
            " the last, incomplete pack would never be learnt; set it to false"
        )
    if cfg.get("load_best_model_at_end"):
        yield (
            "load_best_model_at_end: the weights at the end would be an earlier epoch's, and the"
            " manifest would tell of the last; set it to false, and choose with `its-sft select`"
        )
    if cfg.get("dataloader_drop_last"):
        yield "dataloader_drop_last: the last rows would never be learnt; set it to false"
    if cfg.get("auto_find_batch_size"):
        yield "auto_find_batch_size: a step would have another number of rows; set it to false"


def check_batch(wanted: Declared, hardware: TrainingStep, cfg: Mapping[str, Any]) -> None:
    """Hold the rows of a step to the file's `batch`.

    Raises:
        TrainingError: this machine gives another one.
    """
    if wanted.batch is None or wanted.batch == hardware.batch:
        return
    raise TrainingError(
        f"input_time: batch is {wanted.batch}, and a step would have {hardware.batch} rows:"
        f" micro_batch_size {cfg['micro_batch_size']} x gradient_accumulation_steps"
        f" {cfg.get('gradient_accumulation_steps') or 1} x {hardware.world_size} process(es). Start"
        f" as many processes as the file was written for, change gradient_accumulation_steps, or"
        f" accept it with batch: {hardware.batch}"
    )


def checked_data(data: Path, wanted: Declared) -> DatasetRecord:
    """Return the record of the data set that the file `data` is part of.

    Raises:
        TrainingError: it was built otherwise than declared, or was changed since.
        DataError: it has no record.
    """
    folder = data.parent
    record = records.read(folder)
    for name in ("strategy", "placement", "system", "instruction", "instruction_placement"):
        said, was = getattr(wanted, name), getattr(record.train, name)
        if said is not msgspec.UNSET and said != was:
            raise TrainingError(
                f"input_time: {name} is {_shown(said)}, and {folder} was built with {_shown(was)};"
                f" train on the data that is meant, or say {name}: {_yaml(was)}"
            )
    assert record.train.dataset is not None
    _check_file(data, record.train.dataset.sha256)
    if (folder / records.HELD_OUT).exists():
        _check_file(folder / records.HELD_OUT, record.held_out_sha256)
    return record


def _shown(value: str | None) -> str:
    return "none" if value is None else f"`{value}`"


def _yaml(value: str | None) -> str:
    """Return a value as it is written in the file."""
    if value is None or value.isidentifier():
        return value or "null"
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def _check_file(path: Path, sha256: str | None) -> None:
    if _sha256(path) != sha256:
        raise TrainingError(
            f"{path} is not the file that {path.with_name(records.NAME)} describes: it was changed"
            " after `its-sft build`; build it again"
        )


def check_resumed(checkpoint: Path, now: Manifest) -> None:
    """Hold a training to the checkpoint that it goes on from.

    Raises:
        TrainingError: the checkpoint was begun on other data or from another base, or nobody can
            say on which.
    """
    remedy = (
        f"Take {checkpoint} away to go on from an earlier one, or set another output_dir, or"
        " auto_resume_from_checkpoints: false to begin anew"
    )
    try:
        begun = manifest.read(checkpoint)
    except ManifestError as error:
        raise TrainingError(f"resuming from {checkpoint}: {error}. {remedy}") from error
    for name, was, new in _identities(begun, now):
        if was != new:
            raise TrainingError(
                f"resuming from {checkpoint}: it was begun with {name} {was!r}, and this training"
                f" has {new!r}. {remedy}"
            )


def _identities(before: Manifest, after: Manifest) -> Iterator[tuple[str, Any, Any]]:
    """Yield what must be the same before and after, with its name."""
    yield "base_model", before.base_model, after.base_model
    begun, now = before.train, after.train
    yield "strategy", begun.strategy, now.strategy
    yield "placement", begun.placement, now.placement
    yield "the system text", begun.system, now.system
    yield "the instruction", begun.instruction, now.instruction
    yield "its placement", begun.instruction_placement, now.instruction_placement
    yield "batch", begun.batch, now.batch
    was, new = begun.dataset, now.dataset
    yield "the data (rows)", was and was.rows_trained, new and new.rows_trained
    yield "the data (SHA-256 of train.jsonl)", was and was.sha256, new and new.sha256
    yield "the data (SHA-256 of the tokens)", was and was.tokens_sha256, new and new.tokens_sha256


def keep(found: Manifest, folder: Path) -> None:
    """Write the manifest beside the weights in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest.write(found, folder / manifest.NAME)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}; make it with `its-sft build`"
        ) from error
