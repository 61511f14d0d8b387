"""The command `its-sft build`: where its rows lie, its bars, its summary."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from its.cache import first_seen
from its.cli import bar

from ..errors import DataError
from ..writing.journal import PersonaFile
from ..writing.write import PersonaEngine, write_all
from . import record as built
from .assemble import Order, begin, finish, reserved, rows_of
from .compose import ContextOptions
from .decontaminate import TestQuestions
from .examples import Columns
from .raw import Raw, file_rows, hub_rows
from .record import DatasetRecord
from .select import Fits, Selection, Wanted, select
from .sources import SETS, SOURCES, Source
from .tokens import Room, Tokens

STEP = 64
"""Rows between two updates of the bar: an update costs more than a row."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that say which rows are meant."""

    set: str | None
    source: str | None
    path: Path | None
    rows: int | None
    filters: tuple[str, ...]
    decontaminate: tuple[Path, ...]
    columns: Columns
    skip_bad: bool
    ignored: frozenset[str] = frozenset()
    held_out: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """The longest row that may be trained on.

    `spare` is the number of tokens that a persona may have which a model has yet to write.
    """

    tokenizer: str | None = None
    most: int | None = None
    spare: int = 0


def build_all(
    asked: Asked,
    how: ContextOptions,
    out: Path,
    limit: Limit,
    file: Path | None,
    server: PersonaEngine | None,
) -> bool:
    """Build the data set `out`; tell whether it is whole (an engine that dies leaves it undone).

    Raises:
        DataError: the rows cannot be had, or are not what they should be.
        DataError: `file` was written for other rows, or makes a row too long.
        CheckpointError: there is no such tokenizer.
    """
    console = Console(stderr=True)
    wanted, source, path = wanted_of(asked, how.seed)
    writer = [server.model, server.sampling] if server else []
    tokens = Tokens(limit.tokenizer) if limit.tokenizer else None
    order = Order(wanted, how, out, tokens, limit.most, writer)
    personas = PersonaFile(file) if file else None
    raw = open_rows(source, path, console)
    with reserved(order):
        with bar("reading", len(raw), every=STEP) as on_row:
            selection = select(raw, wanted, on_row, _room(order, personas, limit.spare))
        if source is not None:
            _compare(console, source, selection.sha256)
        if aside := begin(order, selection):
            _warn(console, f"{aside}: personas that another build began to write, put aside")
        if server is not None:
            personas = _generate(order, raw, selection, server)
            if personas is None:
                return False
        with bar("writing", len(selection.numbers), every=STEP) as on_row:
            record, notices = finish(order, raw, selection, personas, on_row)
    _tell(console, out, record, selection, notices)
    return True


def _room(order: Order, personas: PersonaFile | None, spare: int) -> Fits | None:
    """Return what tells whether a row is short enough, whatever context it gets."""
    if order.tokens is None or order.most is None:
        return None
    shelf = order.contexts.shelf
    texts = [persona.text for persona in shelf.bank.personas]
    texts += [note.text for note in shelf.notes.notes] if shelf.notes else []
    texts += personas.texts() if personas else []
    return Room(order.tokens, order.most, texts, order.contexts.layout, spare)


def wanted_of(asked: Asked, seed: int) -> tuple[Wanted, Source | None, Path | None]:
    """Say which rows are meant, and where they lie: on the hub, or at a path.

    Raises:
        DataError: the options name no source, or two.
    """
    if (asked.set is None) == (asked.source is None):
        raise DataError("give one of --set NAME and --source NAME|FILE")
    recipe = SETS[asked.set] if asked.set else None
    name = recipe.source if recipe else str(asked.source)
    source, path = SOURCES.get(name), asked.path
    if source is None:
        path = Path(name)
        if asked.path or not path.exists():
            known = ", ".join(SOURCES)
            raise DataError(f"--source {name}: no such file; the public ones are {known}")
    wanted = Wanted(
        name=asked.set or (name if source else path.stem if path else name),
        source=source,
        columns=asked.columns,
        ignored=asked.ignored,
        rows=asked.rows or (recipe.rows if recipe else None),
        filters=(recipe.filters if recipe else ()) + asked.filters,
        tests=TestQuestions(asked.decontaminate),
        seed=seed,
        skip_bad=asked.skip_bad,
        held_out=asked.held_out,
    )
    return wanted, source, path


def open_rows(source: Source | None, path: Path | None, console: Console) -> Raw:
    """Open the rows; a public set of another size than was published is not that set.

    Raises:
        DataError: the rows cannot be had, or are not what was published.
    """
    if source is None or path is not None:
        assert path is not None
        raw = file_rows(path, *((source.config, source.columns) if source else ()))
        if source is not None and len(raw) != source.rows:
            _warn(
                console,
                f"{path} has {len(raw):,} rows where {source.repo} has {source.rows:,}",
            )
        return raw
    raw = hub_rows(source.repo, source.config, source.columns)
    if len(raw) != source.rows:
        raise DataError(
            f"{source.repo} has {len(raw):,} rows where {source.rows:,} were published: it was"
            " changed. Give a copy of the old one with --from PATH"
        )
    return raw


def _compare(console: Console, source: Source, sha256: str) -> None:
    """Say if a public set is not what it was when it was first loaded here."""
    before = first_seen(source.repo, sha256)
    if before not in (None, sha256):
        _warn(
            console,
            f"{source.repo} has other content than when it was first read here (SHA-256"
            f" {sha256}, then {before}): sets that were built then are other rows",
        )


def _warn(console: Console, told: str) -> None:
    console.print(f"its-sft: {told}", style="yellow", soft_wrap=True, markup=False)


def _generate(
    order: Order, raw: Raw, selection: Selection, server: PersonaEngine
) -> PersonaFile | None:
    """Have a model write the personas of the chosen rows; `None` if it could not finish."""
    questions, kept = order.part / built.QUESTIONS, order.part / built.PERSONAS
    if not kept.exists():
        with questions.open("wb") as file:
            for row in rows_of(raw, selection, order.wanted.name):
                file.write(msgspec.json.encode({"question": row.question}) + b"\n")
        how = order.contexts
        job = write_all(questions, how.strategy, how.seed, how.shelf, server, kept)
        if not asyncio.run(job):
            return None
        questions.unlink()
    return PersonaFile(kept)


def _tell(
    console: Console, out: Path, record: DatasetRecord, selection: Selection, notices: Sequence[str]
) -> None:
    """Say what was built, what was left out, and what to look at."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, number in selection.counts.items():
        table.add_row(name, f"{number:,}")
    table.add_row("drawn", f"{len(selection.numbers):,}")
    if selection.held_out:
        table.add_row("held out", f"{len(selection.held_out):,}")
    console.print(table)
    for told in notices:
        console.print(f"look at: {told}", style="yellow", markup=False, soft_wrap=True)
    for reason in selection.bad:
        console.print(f"left out: {reason}", style="yellow", markup=False, soft_wrap=True)
    if record.decontaminated is None:
        console.print("not decontaminated: no --decontaminate FILE was given", style="yellow")
    held = f", {built.HELD_OUT}" if selection.held_out else ""
    names = f"{built.ROWS}{held}, {built.NAME}, {built.CARD}"
    console.print(f"{out}: {names}", style="green", markup=False, soft_wrap=True)
