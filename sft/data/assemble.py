"""`its-sft build`: the training set of a co-designed checkpoint, whole or not at all.

Input-Time Scaling (arXiv 2508.13654), section 3: the question gets a context, the answer stays.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from its import manifest

from ..errors import DataError
from ..rows import QuestionRow
from ..writing.journal import PersonaFile
from . import record as built
from .card import Lengths, card
from .compose import ContextOptions, compose
from .notices import Notices
from .raw import Bad, Raw, digest
from .record import DatasetRecord, Origin, Tested
from .select import Selection, Wanted
from .tokens import Tokens


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: the rows, their contexts, and where they go."""

    wanted: Wanted
    contexts: ContextOptions
    out: Path
    tokens: Tokens | None = None
    most: int | None = None
    """The limit of tokens a row, counted by `tokens`."""
    writer: Sequence[object] = ()
    """The model that writes personas and how it is asked, if one does."""

    @property
    def part(self) -> Path:
        return built.part_of(self.out)

    def identity(self, selection: Selection) -> bytes:
        """Return what two runs must share to go on with each other's personas."""
        how = self.contexts
        asked = [
            selection.sha256, selection.numbers, how.strategy, how.seed, how.shelf.mix,
            how.shelf.bank.sha256, how.shelf.notes.sha256 if how.shelf.notes else None, self.writer,
        ]  # fmt: skip
        return digest(asked)


@contextmanager
def reserved(order: Order) -> Iterator[None]:
    """Hold the place of the data set for this process; tidy up what a failure leaves.

    Only personas that a model wrote are kept: they were paid for.

    Raises:
        DataError: what stands there is not ours to remove, or another build is at work.
    """
    _check_place(order)
    order.out.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(order.out.with_name(f".{order.out.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise DataError(f"{order.out}: another build is at work on it") from None
    try:
        yield
    finally:
        if order.part.exists() and not _paid(order.part):
            shutil.rmtree(order.part)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _check_place(order: Order) -> None:
    out, part = order.out, order.part
    if out.exists() and not built.is_ours(out):
        raise DataError(f"{out} exists and is no built data set; name another --out")
    for folder in (out, part):
        if folder.exists() and (others := built.others(folder)):
            raise DataError(
                f"{folder} holds {', '.join(others)}, which no build makes and a new one would"
                " remove: take it away, or name another --out"
            )


def begin(order: Order, selection: Selection) -> Path | None:
    """Make the folder that the set is built in, or go on in that of the same build.

    PersonaFile that another build has begun to write are put aside; their new place is returned.
    """
    aside, mark = None, order.part / built.MARK
    if order.part.exists() and (
        not mark.exists() or mark.read_bytes() != order.identity(selection)
    ):
        if _paid(order.part):
            aside = _free(order.part)
            order.part.rename(aside)
        else:
            shutil.rmtree(order.part)
    order.part.mkdir(parents=True, exist_ok=True)
    mark.write_bytes(order.identity(selection))
    return aside


def _paid(part: Path) -> bool:
    return any(path.name.startswith(built.PERSONAS) for path in part.iterdir())


def _free(part: Path) -> Path:
    names = (part.with_name(f"{part.name}.{number}") for number in range(1, 1_000_000))
    return next(path for path in names if not path.exists())


def rows_of(raw: Raw, selection: Selection, name: str) -> Iterator[QuestionRow]:
    """Yield the chosen rows, each with its chat.

    Raises:
        DataError: the source changed while it was read.
    """
    for place, number in enumerate(selection.numbers, 1):
        example = selection.shape(raw.fetch(number))
        if isinstance(example, Bad):
            raise DataError(f"{raw.at(number)}: changed while it was read")
        fields = {"id": example.id or f"{name}/{number}", "question": example.question}
        yield QuestionRow(place, example.question, fields, example.messages)


def finish(
    order: Order, raw: Raw, selection: Selection, personas: PersonaFile | None,
    on_row: Callable[[], Any],
) -> tuple[DatasetRecord, list[str]]:  # fmt: skip
    """Write rows, record and card, and put them in their place; return what there is to report.

    Raises:
        DataError: `personas` were written for other rows, or make a row too long.
        OSError: the disk is full.
    """
    lengths, said = Lengths(order.tokens), Counter[str]()
    notices = Notices(order.tokens.special if order.tokens else None)
    held_out = frozenset(
        place for place, number in enumerate(selection.numbers) if number in selection.held_out
    )
    rows = rows_of(raw, selection, order.wanted.name)
    with _Lines(order.part / built.ROWS) as train, _Lines(order.part / built.HELD_OUT) as held:
        for place, row in enumerate(compose(rows, order.contexts, personas)):
            _check_length(order, row)
            (held if place in held_out else train).write(row)
            if place not in held_out:
                lengths.add(row)
                said[row["persona"]] += 1
            notices.add(row)
            on_row()
    if not held_out:
        (order.part / built.HELD_OUT).unlink()
    record = _record(order, selection, _personas(order.contexts, personas, said), train, held)
    _write_overlaps(order.part / built.CONTAMINATED, raw, selection)
    built.write(record, order.part)
    told = list(notices)
    (order.part / built.CARD).write_text(card(record, selection, lengths, told), "utf-8")
    (order.part / built.MARK).unlink()
    built.publish(order.part, order.out)
    return record, told


class _Lines:
    """A file of JSON lines, and its hash."""

    def __init__(self, path: Path) -> None:
        self._path, self._whole, self.rows = path, hashlib.sha256(), 0

    def __enter__(self) -> "_Lines":
        self._file = self._path.open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._whole.hexdigest()

    def write(self, row: dict[str, Any]) -> None:
        line = msgspec.json.encode(row) + b"\n"
        self._whole.update(line)
        self._file.write(line)
        self.rows += 1


def _check_length(order: Order, row: dict[str, Any]) -> None:
    """Refuse a row that a written persona makes too long: the others were chosen to fit."""
    if order.most is None or order.tokens is None:
        return
    length = order.tokens.count(row["messages"])
    if length > order.most:
        raise DataError(
            f"{row['id']}: has {length:,} tokens with its context, and --max-tokens is"
            f" {order.most:,}; give --persona-max-tokens the length of the longest persona"
        )


def _record(
    order: Order, selection: Selection, personas: manifest.Personas, train: _Lines, held: _Lines
) -> DatasetRecord:
    wanted, how, source = order.wanted, order.contexts, order.wanted.source
    options: dict[str, Any] = {"mix": dict(how.shelf.mix)} if how.strategy == "mixed" else {}
    if how.strategy == "retrieved" and how.shelf.notes:
        options = {"notes_sha256": how.shelf.notes.sha256}
    dataset = manifest.Dataset(
        wanted.name, train.rows + held.rows, train.sha256, rows_held_out=held.rows
    )
    trained = manifest.Train(
        strategy=how.strategy,
        strategy_options=options,
        placement=how.layout.placement,
        separator=how.layout.separator,
        personas=personas,
        dataset=dataset,
        seed=how.seed,
    )
    origin = Origin(
        source.repo if source else wanted.name,
        selection.counts["read"],
        selection.sha256,
        source.licence if source else None,
    )
    tested = [Tested(test.name, test.rows, test.sha256) for test in wanted.tests.files]
    return DatasetRecord(
        manifest.SCHEMA, trained, [origin], held.sha256 if held.rows else None, tested or None,
        dict(selection.counts), {"input-time-scaling": version("input-time-scaling")},
    )  # fmt: skip


def _personas(
    how: ContextOptions, written: PersonaFile | None, said: Counter[str]
) -> manifest.Personas:
    """Say where the contexts came from, and how much they vary (inverse Simpson index)."""
    if how.strategy == "none":
        return manifest.Personas()
    found = manifest.Personas(
        source="notes" if how.strategy == "retrieved" else "bank",
        bank_sha256=None if how.strategy == "retrieved" else how.shelf.bank.sha256,
        distinct=len(said),
        effective=round(said.total() ** 2 / sum(number**2 for number in said.values()), 1),
    )
    if written is None:
        return found
    return msgspec.structs.replace(
        found,
        source="generate",
        model=", ".join(sorted(written.models)),
        prompt_sha256=", ".join(sorted(written.prompts)),
    )


def _write_overlaps(path: Path, raw: Raw, selection: Selection) -> None:
    """Name each row that was left out because a test set has it."""
    with path.open("wb") as file:
        for number, overlap in selection.contaminated:
            row = {"row": raw.at(number), **msgspec.to_builtins(overlap)}
            file.write(msgspec.json.encode(row) + b"\n")
