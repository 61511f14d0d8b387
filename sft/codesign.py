"""Data and checkpoint under one contract: what is trained on is what was declared, and is recorded.

Knows nothing of Axolotl; `axolotl_plugin` calls it at the right moments.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from its import manifest
from its.manifest import CoDesign, Manifest, Test, Train

from . import built
from .built import BuiltError


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The block `input_time:` of a training file: what its data must be."""

    strategy: manifest.StrategyName
    placement: str = "before"
    test_strategy: manifest.StrategyName | None = None
    batch: int | None = None


class CoDesignError(ValueError):
    """A training that would not be what it says; the message names both sides and the remedy."""


def declared(block: Mapping[str, Any] | None) -> Declared:
    """Read the block `input_time:`.

    Raises:
        CoDesignError: it is missing or wrong, or asks for another test than the training allows.
    """
    if block is None:
        raise CoDesignError(
            "input_time: is missing; say `strategy:` as the data set was built, so that the"
            " checkpoint knows how it was trained"
        )
    try:
        found = msgspec.convert(dict(block), Declared)
    except msgspec.ValidationError as error:
        raise CoDesignError(f"input_time: {error}") from error
    stages = Manifest(manifest.SCHEMA, "", Train(found.strategy))
    asked = found.test_strategy or found.strategy
    if manifest.check(stages, asked) is not CoDesign.VERIFIED:
        raise CoDesignError(
            f"input_time: trained with `{found.strategy}` and asked with `{asked}`: a context"
            " stands in both stages or in none (Input-Time Scaling, arXiv 2508.13654)"
        )
    return found


def checked_train(data: Path, wanted: Declared) -> Train:
    """Return the record of the data set that the file `data` is part of.

    Raises:
        CoDesignError: it was built otherwise than declared, or was changed since.
        BuiltError: it has no record.
    """
    folder = data.parent
    train = built.read(folder).train
    for name, said, was in (
        ("strategy", wanted.strategy, train.strategy),
        ("placement", wanted.placement, train.placement),
    ):
        if said != was:
            raise CoDesignError(
                f"input_time: {name} is `{said}`, and {folder} was built with `{was}`; train on"
                f" the data that is meant, or say {name}: {was}"
            )
    if train.dataset is None or _sha256(data) != train.dataset.sha256:
        raise CoDesignError(
            f"{data} is not the file that {folder / manifest.NAME} describes: it was changed"
            " after `its-sft build`; build it again"
        )
    return train


def checkpoint(
    base_model: str, train: Train, wanted: Declared, config: bytes,
    versions: Mapping[str, str], loss: float | None,
) -> Manifest:  # fmt: skip
    """Return the manifest of a checkpoint that was trained on `train`'s data."""
    trained = msgspec.structs.replace(
        train,
        config_sha256=hashlib.sha256(config).hexdigest(),
        versions=dict(versions),
        final_loss=loss,
    )
    test = Test(wanted.test_strategy or wanted.strategy)
    return Manifest(manifest.SCHEMA, base_model, trained, test)


def keep(found: Manifest, folder: Path) -> None:
    """Write the manifest beside the weights in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest.write(found, folder / manifest.NAME)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BuiltError(
            f"cannot read {path}: {error.strerror}; make it with `its-sft build`"
        ) from error
