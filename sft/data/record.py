"""The record of a built data set, `dataset.json` beside its `train.jsonl`."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from its.manifest import SCHEMA, Train

from ..errors import DataError

NAME = "dataset.json"
ROWS, HELD_OUT = "train.jsonl", "heldout.jsonl"
CARD, CONTAMINATED = "card.md", "contaminated.jsonl"
PERSONAS, QUESTIONS = "personas.jsonl", "questions.jsonl"
"""Of a build whose personas a model writes."""

MARK = "build"
"""Says which build has begun to write in a folder."""


class Origin(msgspec.Struct, frozen=True):
    """Where rows came from: all that were read, their number, and the hash of their content."""

    name: str
    rows: int
    sha256: str
    licence: str | None = None


class TestFile(msgspec.Struct, frozen=True):
    """A file of test questions that the rows were compared with."""

    __test__ = False  # not a test class of pytest's

    name: str
    rows: int
    sha256: str


class DatasetRecord(msgspec.Struct, frozen=True):
    """The whole file: `train` is what a checkpoint's manifest takes over.

    `held_out_sha256` is of `heldout.jsonl`, where rows were held out.
    """

    schema: int
    train: Train
    sources: list[Origin]
    held_out_sha256: str | None = None
    decontaminated: list[TestFile] | None = None
    counts: Mapping[str, int] = {}
    versions: Mapping[str, str] = {}


def write(record: DatasetRecord, folder: Path) -> None:
    """Write the record into the data set's folder."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
    (folder / NAME).write_bytes(text)


def read(folder: Path) -> DatasetRecord:
    """Read the record of the data set in `folder`.

    Raises:
        DataError: there is none, or it is broken.
    """
    path = folder / NAME
    try:
        record = msgspec.json.decode(path.read_bytes(), type=DatasetRecord)
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}; make the data set with `its-sft build`"
        ) from error
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is no record of a data set: {error}") from error
    if record.schema != SCHEMA:
        remedy = (
            "update input-time-scaling" if record.schema > SCHEMA else "`its-sft build` it again"
        )
        raise DataError(
            f"{path}: schema: is {record.schema}, and this version reads {SCHEMA} only; {remedy}"
        )
    return record


def is_ours(folder: Path) -> bool:
    """Tell whether `folder` holds what `its-sft build` writes, and so may be written anew."""
    return (folder / NAME).is_file() and (folder / ROWS).is_file()


def others(folder: Path) -> list[str]:
    """Return the names of what lies in `folder` and no build makes, which is not ours to remove."""
    return sorted(path.name for path in folder.iterdir() if not _made(path.name))


def _made(name: str) -> bool:
    """Personas have a journal and its lock beside them, which a kill may have left."""
    return name in {MARK, NAME, ROWS, HELD_OUT, CARD, CONTAMINATED, QUESTIONS} or PERSONAS in name


def part_of(folder: Path) -> Path:
    """Return where a data set stands until it is whole."""
    return folder.with_name(folder.name + ".part")


def publish(part: Path, folder: Path) -> None:
    """Put a whole data set in the place of `folder`.

    Raises:
        DataError: something was put beside the old set since; it is where the message says.
    """
    # A folder that is not empty cannot be replaced in one step, as a file can. Between these two
    # renames a kill leaves no set at `folder`; both are still there under their other names.
    old = folder.with_name(f".{folder.name}.{os.getpid()}")
    if folder.exists():
        folder.replace(old)
    part.replace(folder)
    if old.exists():
        for file in old.iterdir():
            if _made(file.name):
                file.unlink()
        if others(old):
            raise DataError(f"{folder} is built; what else lay there is now in {old}")
        old.rmdir()
