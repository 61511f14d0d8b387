"""The co-design manifest `input_time.json`: how a checkpoint was trained.

The rule (Input-Time Scaling, arXiv 2508.13654: contexts in both stages, "not necessarily the
same type"): a checkpoint trained with a context is asked with one, and one trained without is
asked without. A context in one stage only degrades the result.
"""

from enum import Enum
from pathlib import Path
from typing import Literal

import msgspec

from .types import Layout, Placement

SCHEMA = 1

StrategyName = Literal["none", "similar", "unsimilar", "random"]


class CoDesign(Enum):
    """Whether a member is asked as it was trained."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    UNVERIFIED = "unverified"


class ManifestError(ValueError):
    """A manifest that is missing or cannot be read; the message says which, and why."""


class Train(msgspec.Struct, frozen=True):
    """How the contexts of the training data were chosen and placed."""

    strategy: StrategyName
    placement: Placement = "before"
    separator: str = "\n\n"


class Test(msgspec.Struct, frozen=True):
    """How the checkpoint's makers want it to be asked."""

    __test__ = False  # not a test class of pytest's

    strategy: StrategyName | None = None


class Manifest(msgspec.Struct, frozen=True):
    """The part of `input_time.json` that serving needs; fields of later versions are kept out."""

    schema: int
    base_model: str
    train: Train
    test: Test = Test()

    @property
    def layout(self) -> Layout:
        return Layout(self.train.placement, self.train.separator)

    @property
    def test_strategy(self) -> str:
        return self.test.strategy or self.train.strategy


def read(path: Path) -> Manifest:
    """Read the manifest at `path`.

    Raises:
        ManifestError: the file is missing, is no JSON, or lacks what serving needs.
    """
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise ManifestError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ManifestError(f"{path} is no co-design manifest: {error}") from error
    if manifest.schema > SCHEMA:
        raise ManifestError(f"{path} has schema {manifest.schema}; this version reads {SCHEMA}")
    return manifest


def check(manifest: Manifest | None, strategy: str, layout: Layout | None = None) -> CoDesign:
    """Say whether asking with `strategy` (and `layout`) fits how the checkpoint was trained."""
    if manifest is None:
        return CoDesign.UNVERIFIED
    trained, asked = manifest.train.strategy != "none", strategy != "none"
    same_place = not asked or layout is None or layout == manifest.layout
    return CoDesign.VERIFIED if trained == asked and same_place else CoDesign.MISMATCH
