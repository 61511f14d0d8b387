"""The command `its-sft build`: where its rows lie, its bars, its summary."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from its.cache import first_seen
from its.cli import bar, note_console

from ..cli import CLI
from ..errors import DataError
from ..writing.journal import PersonaFile
from ..writing.personas import PersonaEngine, WritingJob
from ..writing.write import write_all
from . import record as records
from .assemble import BuildSpec, begin, finish, reserved, rows_of
from .compose import ContextOptions
from .decontaminate import TestQuestions
from .examples import Columns, TrainingExample
from .raw import Raw, file_rows, hub_rows
from .record import DatasetRecord
from .select import Fits, RowSpec, Selection, select
from .sets import PUBLIC, SOURCES, Source
from .tokens import Room, TokenCounter

STEP = 64
"""Rows between two updates of the bar: an update costs more than a row."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Which rows are meant, how long they may be (`max_tokens`), and who writes their contexts.

    `personas` is a file of each question's persona, `engine` a model that writes them; without
    either, the bank serves.
    """

    set: str | None = None
    source: str | None = None
    path: Path | None = None
    rows: int | None = None
    filters: tuple[str, ...] = ()
    decontaminate: tuple[Path, ...] = ()
    columns: Columns = field(default_factory=Columns)
    skip_bad: bool = False
    ignored: frozenset[str] = frozenset()
    held_out: int = 0
    tokenizer: str | None = None
    max_tokens: int | None = None
    personas: Path | None = None
    engine: PersonaEngine | None = None


def build(options: BuildOptions, how: ContextOptions, out: Path) -> bool:
    """Build the data set `out`; tell whether it is whole (an engine that dies leaves it undone).

    Raises:
        DataError: the rows, the personas or the tokenizer cannot be had, or are not what they
            should be.
    """
    console = note_console()
    wanted, source, path = wanted_of(options, how.seed)
    wanted = replace(wanted, layout=how.layout)
    writer = [options.engine.model, options.engine.sampling] if options.engine else []
    tokens = TokenCounter(options.tokenizer) if options.tokenizer else None
    spec = BuildSpec(wanted, how, out, tokens, options.max_tokens, writer)
    personas = PersonaFile(options.personas) if options.personas else None
    raw = open_rows(source, path)
    with reserved(spec):
        with bar("reading", len(raw), every=STEP) as on_row:
            selection = select(raw, wanted, on_row, _room(spec, personas, options.engine))
        if source is not None:
            _compare(source, selection.sha256)
        if aside := begin(spec, selection):
            CLI.say(f"{aside}: personas that another build began to write, put aside", "yellow")
        if options.engine is not None:
            personas = _generate(spec, raw, selection, options.engine)
            if personas is None:
                return False
        with bar("writing", len(selection.numbers), every=STEP) as on_row:
            record, notices = finish(spec, raw, selection, personas, on_row)
    _print_summary(console, out, record, selection, notices)
    return True


def _room(
    spec: BuildSpec, personas: PersonaFile | None, engine: PersonaEngine | None
) -> Fits | None:
    """Return what tells whether a row is short enough, whatever context it gets."""
    if spec.tokens is None or spec.max_tokens is None:
        return None
    how = spec.contexts
    texts = [persona.text for persona in how.shelf.bank.personas]
    texts += personas.texts() if personas else []
    # A persona that has yet to be written may be as long as the engine lets it be.
    spare = int(engine.sampling.get("max_tokens") or 0) if engine else 0
    room = Room(spec.tokens, spec.max_tokens, texts, how.layout, spare)
    known = frozenset(texts)

    def fits(example: TrainingExample) -> bool:
        if not room(example):
            return False
        # What is no persona may be longer than all of them: this question's own must fit too.
        context = how.pick(example.question)
        return context is None or context.persona in known or room.fits(example, context.persona)

    return room if personas or engine else fits


def wanted_of(options: BuildOptions, seed: int) -> tuple[RowSpec, Source | None, Path | None]:
    """Say which rows are meant, and where they lie: on the hub, or at a path.

    Raises:
        DataError: the options name no source, or two.
    """
    if (options.set is None) == (options.source is None):
        raise DataError("give one of --set NAME and --source NAME|FILE")
    known = PUBLIC[options.set] if options.set else None
    name = str(options.source)
    source, path = known.source if known else SOURCES.get(name), options.path
    if source is None:
        path = Path(name)
        if options.path or not path.exists():
            raise DataError(
                f"--source {name}: no such file; the public ones are {', '.join(SOURCES)}"
            )
    wanted = RowSpec(
        name=options.set or (name if source else path.stem if path else name),
        source=source,
        columns=options.columns,
        ignored=options.ignored,
        rows=options.rows or (known.rows if known else None),
        filters=(known.filters if known else ()) + options.filters,
        tests=TestQuestions(options.decontaminate),
        seed=seed,
        skip_bad=options.skip_bad,
        held_out=options.held_out,
    )
    return wanted, source, path


def open_rows(source: Source | None, path: Path | None) -> Raw:
    """Open the rows; a public set of another size than was published is not that set.

    Raises:
        DataError: the rows cannot be had, or are not what was published.
    """
    if source is None or path is not None:
        assert path is not None
        raw = file_rows(path, *((source.config, source.needed) if source else ()))
        if source is not None and len(raw) != source.rows:
            CLI.say(
                f"{path} has {len(raw):,} rows where {source.repo} has {source.rows:,}",
                "yellow",
            )
        return raw
    raw = hub_rows(source.repo, source.config, source.needed)
    if len(raw) != source.rows:
        raise DataError(
            f"{source.repo} has {len(raw):,} rows where {source.rows:,} were published: it was"
            " changed. Give a copy of the old one with --from PATH"
        )
    return raw


def _compare(source: Source, sha256: str) -> None:
    """Say if a public set is not what it was when it was first loaded here."""
    before = first_seen(source.repo, sha256)
    if before not in (None, sha256):
        CLI.say(
            f"{source.repo} has other content than when it was first read here (SHA-256"
            f" {sha256}, then {before}): sets that were built then are other rows",
            "yellow",
        )


def _generate(
    spec: BuildSpec, raw: Raw, selection: Selection, engine: PersonaEngine
) -> PersonaFile | None:
    """Have a model write the personas of the chosen rows; `None` if it could not finish."""
    questions, kept = spec.part / records.QUESTIONS, spec.part / records.PERSONAS
    if not kept.exists():
        with questions.open("wb") as file:
            for row in rows_of(raw, selection, spec.wanted):
                file.write(msgspec.json.encode({"question": row.question}) + b"\n")
        how = spec.contexts
        job = WritingJob(how.strategy, how.seed, how.shelf, engine, how.options)
        if not asyncio.run(write_all(job, questions, kept)):
            return None
        questions.unlink()
    return PersonaFile(kept)


def _print_summary(
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
    held = f", {records.HELD_OUT}" if selection.held_out else ""
    names = f"{records.ROWS}{held}, {records.NAME}, {records.CARD}"
    console.print(f"{out}: {names}", style="green", markup=False, soft_wrap=True)
