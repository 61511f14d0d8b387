"""`its-sft build`: the training set of a co-designed checkpoint, whole or not at all.

Input-Time Scaling (arXiv 2508.13654), section 3: the question gets a context, the answer stays.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from its import manifest

from . import built
from .built import Built, Origin, Tested
from .card import Lengths, card
from .compose import Contexts, compose
from .raw import Bad, Raw, SourceError, digest
from .rows import Row
from .select import Selection, Wanted
from .written import Personas


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: the rows, their contexts, and where they go."""

    wanted: Wanted
    contexts: Contexts
    out: Path
    tokenizer: str | None
    writer: Sequence[object] = ()
    """The model that writes personas and how it is asked, if one does."""

    @property
    def part(self) -> Path:
        return built.part_of(self.out)

    @property
    def identity(self) -> bytes:
        """Return what two runs must share to go on with each other's personas."""
        wanted, how = self.wanted, self.contexts
        asked = [
            wanted.name, wanted.rows, wanted.filters, wanted.seed,
            [test.sha256 for test in wanted.tests.files], how.strategy, how.shelf.mix,
            how.shelf.bank.sha256, how.shelf.notes.sha256 if how.shelf.notes else None, self.writer,
        ]  # fmt: skip
        return digest(asked)


def begin(order: Order) -> None:
    """Make the folder that the set is built in, or go on in that of the same build.

    Raises:
        SourceError: what stands in the way is not ours to remove.
    """
    if order.out.exists() and not built.is_ours(order.out):
        raise SourceError(f"{order.out} exists and is no built data set; name another --out")
    if order.out.exists() and (others := built.others(order.out)):
        raise SourceError(
            f"{order.out} holds {', '.join(others)}, which no build makes and a new one would"
            " remove: take it away, or name another --out"
        )
    order.part.mkdir(parents=True, exist_ok=True)
    mark = order.part / "build"
    if mark.exists() and mark.read_bytes() != order.identity:
        raise SourceError(
            f"{order.part} was begun by another build; use its options, or delete the folder"
        )
    mark.write_bytes(order.identity)


def rows_of(raw: Raw, selection: Selection, name: str) -> Iterator[Row]:
    """Yield the chosen rows, each with its chat.

    Raises:
        SourceError: the source changed while it was read.
    """
    for place, number in enumerate(selection.numbers, 1):
        example = selection.shape(raw.fetch(number))
        if isinstance(example, Bad):
            raise SourceError(f"{raw.at(number)}: changed while it was read")
        fields = {"id": example.id or f"{name}/{number}", "question": example.question}
        yield Row(place, example.question, fields, example.messages)


def finish(
    order: Order, raw: Raw, selection: Selection, personas: Personas | None, lengths: Lengths,
    on_row: Callable[[], Any],
) -> Built:  # fmt: skip
    """Write rows, record and card, and put them in their place; `lengths` measures the rows.

    Raises:
        RowError: `personas` were written for other rows.
        OSError: the disk is full.
    """
    whole = hashlib.sha256()
    rows = rows_of(raw, selection, order.wanted.name)
    with (order.part / built.ROWS).open("wb") as file:
        for row in compose(rows, order.contexts, personas):
            line = msgspec.json.encode(row) + b"\n"
            whole.update(line)
            file.write(line)
            lengths.add(row)
            on_row()
    record = _record(order, selection, personas, whole.hexdigest())
    _write_overlaps(order.part / built.CONTAMINATED, raw, selection)
    built.write(record, order.part)
    (order.part / built.CARD).write_text(card(order, record, selection, lengths), "utf-8")
    (order.part / "build").unlink()
    built.publish(order.part, order.out)
    return record


def _record(order: Order, selection: Selection, personas: Personas | None, sha256: str) -> Built:
    wanted, how = order.wanted, order.contexts
    train = manifest.Train(
        strategy=how.strategy,
        placement=how.layout.placement,
        separator=how.layout.separator,
        personas=_personas(how, personas),
        dataset=manifest.Dataset(wanted.name, len(selection.numbers), sha256),
        seed=how.seed,
    )
    source = wanted.source
    origin = Origin(
        source.repo if source else wanted.name,
        selection.counts["read"],
        selection.sha256,
        source.licence if source else None,
    )
    tested = [Tested(test.name, test.rows, test.sha256) for test in wanted.tests.files]
    return Built(
        manifest.SCHEMA, train, [origin], tested or None, dict(selection.counts),
        {"input-time-scaling": version("input-time-scaling")},
    )  # fmt: skip


def _personas(how: Contexts, written: Personas | None) -> manifest.Personas:
    if how.strategy == "none":
        return manifest.Personas()
    mix = dict(how.shelf.mix) if how.strategy == "mixed" else None
    if how.strategy == "retrieved":
        notes = how.shelf.notes
        return manifest.Personas(source="notes", notes_sha256=notes.sha256 if notes else None)
    if written is None:
        return manifest.Personas(source="bank", bank_sha256=how.shelf.bank.sha256, mix=mix)
    return manifest.Personas(
        source="generate",
        model=", ".join(sorted(written.models)),
        prompt_sha256=", ".join(sorted(written.prompts)),
        bank_sha256=how.shelf.bank.sha256,
        mix=mix,
    )


def _write_overlaps(path: Path, raw: Raw, selection: Selection) -> None:
    """Name each row that was left out because a test set has it."""
    with path.open("wb") as file:
        for number, overlap in selection.contaminated:
            row = {"row": raw.at(number), **msgspec.to_builtins(overlap)}
            file.write(msgspec.json.encode(row) + b"\n")
