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

from its import manifest, prompts, strategies
from its.variety import effective

from ..errors import DataError
from ..rows import QuestionRow
from ..writing.journal import PersonaFile
from . import record as records
from .card import Lengths, card
from .compose import ContextOptions, compose
from .notices import Notices, constant, of_the_bank
from .raw import Bad, Raw, digest
from .record import DatasetRecord, Origin
from .select import RowSpec, Selection
from .tokens import TokenCounter


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """What was asked for: the rows, their contexts, and where they go."""

    wanted: RowSpec
    contexts: ContextOptions
    out: Path
    tokens: TokenCounter | None = None
    max_tokens: int | None = None
    """The limit of tokens a row, counted by `tokens`."""
    writer: Sequence[object] = ()
    """The model that writes personas and how it is asked, if one does."""

    @property
    def part(self) -> Path:
        return records.part_of(self.out)

    def identity(self, selection: Selection) -> bytes:
        """Return what two runs must share to go on with each other's personas."""
        how = self.contexts
        asked = [
            selection.sha256, selection.numbers, how.strategy, how.seed, how.record,
            how.shelf.bank.sha256, self.writer,
        ]  # fmt: skip
        return digest(asked)


@contextmanager
def reserved(spec: BuildSpec) -> Iterator[None]:
    """Hold the place of the data set for this process; tidy up what a failure leaves.

    Only personas that a model wrote are kept: they were paid for.

    Raises:
        DataError: what stands there is not ours to remove, or another build is at work.
    """
    _check_place(spec)
    spec.out.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(spec.out.with_name(f".{spec.out.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise DataError(f"{spec.out}: another build is at work on it") from None
    try:
        yield
    finally:
        if spec.part.exists() and not _paid(spec.part):
            shutil.rmtree(spec.part)
        # First the file, then the lock: after a release, the file could be another build's lock.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _check_place(spec: BuildSpec) -> None:
    out, part = spec.out, spec.part
    if out.exists() and not records.is_ours(out):
        raise DataError(f"{out} exists and is no built data set; name another --out")
    for folder in (out, part):
        if folder.exists() and (others := records.others(folder)):
            raise DataError(
                f"{folder} holds {', '.join(others)}, which no build makes and a new one would"
                " remove: take it away, or name another --out"
            )


def begin(spec: BuildSpec, selection: Selection) -> Path | None:
    """Make the folder that the set is built in, or go on in that of the same build.

    Personas that another build has begun to write are put aside; their new place is returned.
    """
    aside, mark = None, spec.part / records.MARK
    if spec.part.exists() and (not mark.exists() or mark.read_bytes() != spec.identity(selection)):
        if _paid(spec.part):
            aside = _free(spec.part)
            spec.part.rename(aside)
        else:
            shutil.rmtree(spec.part)
    spec.part.mkdir(parents=True, exist_ok=True)
    mark.write_bytes(spec.identity(selection))
    return aside


def _paid(part: Path) -> bool:
    return any(path.name.startswith(records.PERSONAS) for path in part.iterdir())


def _free(part: Path) -> Path:
    names = (part.with_name(f"{part.name}.{number}") for number in range(1, 1_000_000))
    return next(path for path in names if not path.exists())


def rows_of(raw: Raw, selection: Selection, wanted: RowSpec) -> Iterator[QuestionRow]:
    """Yield the chosen rows, each with its chat; the question is without the instruction.

    Raises:
        DataError: the source changed while it was read.
    """
    for place, number in enumerate(selection.numbers, 1):
        example = selection.shape(raw.fetch(number))
        if isinstance(example, Bad):
            raise DataError(f"{raw.at(number)}: changed while it was read")
        question = prompts.bare(example.question, wanted.layout)
        fields = {"id": example.id or f"{wanted.name}/{number}", "question": question}
        yield QuestionRow(place, question, fields, example.messages)


def finish(
    spec: BuildSpec, raw: Raw, selection: Selection, personas: PersonaFile | None,
    on_row: Callable[[], Any],
) -> tuple[DatasetRecord, list[str]]:  # fmt: skip
    """Write rows, record and card, and put them in their place; return what there is to report.

    Raises:
        DataError: `personas` were written for other rows, or make a row too long.
        OSError: the disk is full.
    """
    lengths, said = Lengths(spec.tokens), Counter[tuple[str, str]]()
    notices = Notices(spec.tokens.special if spec.tokens else None)
    held_out = frozenset(
        place for place, number in enumerate(selection.numbers) if number in selection.held_out
    )
    rows = rows_of(raw, selection, spec.wanted)
    with _Lines(spec.part / records.ROWS) as train, _Lines(spec.part / records.HELD_OUT) as held:
        for place, row in enumerate(compose(rows, spec.contexts, personas)):
            _check_length(spec, row)
            (held if place in held_out else train).write(row)
            if place not in held_out:
                lengths.add(row)
                said[row["source"], row["persona"]] += 1
            notices.add(row)
            on_row()
    if not held_out:
        (spec.part / records.HELD_OUT).unlink()
    record = _record(spec, selection, _personas(spec.contexts, personas, said), train, held)
    _write_overlaps(spec.part / records.CONTAMINATED, raw, selection)
    records.write(record, spec.part)
    told = [
        *notices,
        *of_the_bank(spec.contexts.strategy, said),
        *constant(record.train.personas, train.rows),
    ]
    (spec.part / records.CARD).write_text(card(record, selection, lengths, told), "utf-8")
    # Without its mark, a part that a kill leaves here is no begun build: nobody goes on with it.
    (spec.part / records.MARK).unlink()
    records.publish(spec.part, spec.out)
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


def _check_length(spec: BuildSpec, row: dict[str, Any]) -> None:
    """Refuse a row that a written persona makes too long: the others were chosen to fit."""
    if spec.max_tokens is None or spec.tokens is None:
        return
    length = spec.tokens.count(row["messages"])
    if length > spec.max_tokens:
        raise DataError(
            f"{row['id']}: has {length:,} tokens with its context, and --max-tokens is"
            f" {spec.max_tokens:,}; give --persona-max-tokens the length of the longest persona"
        )


def _record(
    spec: BuildSpec, selection: Selection, personas: manifest.Personas, train: _Lines, held: _Lines
) -> DatasetRecord:
    wanted, how, source = spec.wanted, spec.contexts, spec.wanted.source
    dataset = manifest.Dataset(
        wanted.name, train.rows + held.rows, train.sha256, rows_held_out=held.rows
    )
    trained = manifest.Train(
        strategy=how.strategy,
        strategy_version=strategies.get(how.strategy).version,
        strategy_options=how.record,
        placement=how.layout.placement,
        separator=how.layout.separator,
        system=how.layout.system,
        instruction=how.layout.instruction,
        instruction_placement=how.layout.instruction_placement,
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
    tested = wanted.tests.files
    return DatasetRecord(
        manifest.SCHEMA, trained, [origin], held.sha256 if held.rows else None, tested or None,
        dict(selection.counts), {"input-time-scaling": version("input-time-scaling")},
    )  # fmt: skip


def _personas(
    how: ContextOptions, written: PersonaFile | None, said: Counter[tuple[str, str]]
) -> manifest.Personas:
    """Say where the contexts came from, the commonest source first, and how much they vary."""
    if not strategies.adds_context(how.strategy):
        return manifest.Personas()
    sources = Counter[str]()
    for (source, _), number in said.items():
        sources[source] += number
    found = manifest.Personas(
        source=", ".join(source for source, _ in sources.most_common()),
        bank_sha256=how.shelf.bank.sha256 if "bank" in sources or written else None,
        distinct=len({text for _, text in said}),
        effective=round(effective(said.values()), 1),
    )
    if written is None:
        return found
    return msgspec.structs.replace(
        found,
        model=", ".join(sorted(written.models)),
        prompt_sha256=", ".join(sorted(written.prompts)),
    )


def _write_overlaps(path: Path, raw: Raw, selection: Selection) -> None:
    """Name each row that was left out because a test set has it."""
    with path.open("wb") as file:
        for number, overlap in selection.contaminated:
            row = {"row": raw.at(number), **msgspec.to_builtins(overlap)}
            file.write(msgspec.json.encode(row) + b"\n")
