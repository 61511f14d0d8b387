"""`its-sft notes`: a model distils notes from one's own solved rows, one call a row.

Rows are kept in `OUT.part` as they come, so that the same command goes on after a kill. `OUT` is a
version of its own: with `--add-to` the notes of an earlier one stand first, and its questions are
not asked again.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from filelock import FileLock, Timeout

from its import distil, seeds
from its.cli import bar
from its.distil import NoteKind
from its.files import atomic_write
from its.notes import Note, load
from its.overlap import normal

from ..errors import DataError
from ..rows import QuestionRow, read
from .pace import Pace, in_parallel
from .personas import EngineClient, EngineGone, PersonaEngine
from .write import CALL_SECONDS

SOLUTIONS = ("solution", "answer", "response", "output")
"""Fields that may hold a row's solution; else the last message of `messages` does."""


class Distilled(msgspec.Struct, frozen=True):
    """What one row gave; no `notes`: the model's text broke the rules."""

    job: str
    question: str
    question_sha256: str
    notes: list[str]


@dataclass(frozen=True, slots=True)
class NotesSummary:
    """How many rows were asked in all, how many gave notes, how many notes; rows that failed.

    `earlier` notes were taken from the earlier version; `sha256` is of the new one, `""` if there
    is none.
    """

    rows: int
    fruitful: int
    notes: int
    failed: int
    earlier: int
    sha256: str


class Earlier:
    """An earlier version of the notes: what a new one begins with."""

    def __init__(self, path: Path | None) -> None:
        """Read the file at `path`.

        Raises:
            NotesError: it cannot be read, or is no file of notes.
        """
        self.notes = load(path).notes if path is not None else ()
        self._asked = {_bare(source) for note in self.notes for source in note.sources}

    def has(self, question: str) -> bool:
        """Tell whether notes were made from `question` already."""
        return _bare(question) in self._asked


def distil_all(
    kind: NoteKind, file: Path, engine: PersonaEngine, out: Path, seed: int,
    add_to: Path | None = None,
) -> NotesSummary:  # fmt: skip
    """Write the notes of FILE's rows to `out` (JSONL of `text` and `question`).

    Raises:
        DataError: a row has no question or solution, `out` is there already, or another run is at
            work on it.
        NotesError: the notes to add to cannot be read.
        EngineGone: the engine cannot be reached.
    """
    with _begun(out) as part:
        return _run(_Job(kind, engine, seed), file, out, part, Earlier(add_to))


def take_solutions(file: Path, out: Path, add_to: Path | None = None) -> NotesSummary:
    """Write FILE's solved rows to `out` as they are, for `examples`; no model is asked.

    Raises:
        DataError: as `distil_all`.
        NotesError: as `distil_all`.
    """
    with _begun(out):
        earlier, found = Earlier(add_to), dict[str, Note]()
        for row in read(file):
            if not earlier.has(row.question):
                note = Note(solution_of(row), row.question)
                found.setdefault(_bare(row.question), note)
        sha256 = _finish(earlier, list(found.values()), out) if found else ""
        return NotesSummary(len(found), len(found), len(found), 0, len(earlier.notes), sha256)


@contextmanager
def _begun(out: Path) -> Iterator[Path]:
    """Hold `out`, which must not be there, and yield the path of its journal."""
    part = out.with_name(f"{out.name}.part")
    try:
        with FileLock(f"{part}.lock", timeout=0):
            if out.exists():
                raise DataError(
                    f"{out} is there already, and what it holds was paid for; nothing was asked."
                    " Take it away, or name another --out"
                )
            yield part
    except Timeout:
        raise DataError(f"{out}: another run is at work on it") from None


@dataclass(frozen=True, slots=True)
class _Job:
    """What decides the texts; `id` is what two runs share that may go on with each other's work."""

    kind: NoteKind
    engine: PersonaEngine
    seed: int

    @property
    def id(self) -> str:
        by = self.engine
        return str(seeds.derive(distil.sha256(self.kind), by.model, self.seed, str(by.sampling)))

    async def ask(self, row: QuestionRow, client: EngineClient) -> Distilled | None:
        """Return what one row gives; `None` if its call failed for good."""
        chat = distil.messages(self.kind, row.question, solution_of(row))
        try:
            reply = await client.ask(chat, seeds.derive("notes", self.seed, row.question))
        except EngineGone:
            return None
        found = distil.read(self.kind, reply.text, row.question)
        return Distilled(self.id, row.question, row.question_sha256, found)


def _run(job: _Job, file: Path, out: Path, part: Path, earlier: Earlier) -> NotesSummary:
    done = {each.question_sha256: each for each in _kept(part) if each.job == job.id}
    todo = {
        row.question_sha256: row
        for row in read(file)
        if row.question_sha256 not in done and not earlier.has(row.question)
    }
    for row in todo.values():
        solution_of(row)  # a row without one is told before anything is paid
    with part.open("ab") as journal, bar("notes", len(todo)) as advance:

        def keep(found: Distilled) -> None:
            journal.write(msgspec.json.encode(found) + b"\n")
            journal.flush()
            done[found.question_sha256] = found

        failed = asyncio.run(_ask_all(job, list(todo.values()), keep, advance)) if todo else 0
    every, sha256 = list(done.values()), ""
    notes = [Note(note, each.question) for each in every for note in each.notes]
    if notes and not failed:
        sha256 = _finish(earlier, notes, out)
    if sha256 or not every:
        part.unlink()
    fruitful = sum(bool(each.notes) for each in every)
    return NotesSummary(len(every), fruitful, len(notes), failed, len(earlier.notes), sha256)


async def _ask_all(
    job: _Job, rows: Sequence[QuestionRow], keep: Callable[[Distilled], None],
    advance: Callable[[], object],
) -> int:  # fmt: skip
    """Ask for every row; return how many calls failed."""
    failed, pace = 0, Pace(job.engine.most)
    async with _client(job.engine) as client:
        asking = EngineClient(client, job.engine, pace)
        await asking.require_there()

        async def work(row: QuestionRow) -> Distilled | None:
            return await job.ask(row, asking)

        async with aclosing(in_parallel(iter(rows), work, pace)) as results:
            async for found in results:
                if found is None:
                    failed += 1
                else:
                    keep(found)
                advance()
    return failed


def solution_of(row: QuestionRow) -> str:
    """Return a row's solution.

    Raises:
        DataError: it has none.
    """
    found: Any = next((row.fields[name] for name in SOLUTIONS if row.fields.get(name)), None)
    turns = row.fields.get("messages")
    if found is None and isinstance(turns, list) and turns and isinstance(turns[-1], dict):
        found = turns[-1].get("content")
    if not isinstance(found, str):
        raise DataError(f"line {row.number}: no solution in {', '.join(SOLUTIONS)} or `messages`")
    return found


def _client(engine: PersonaEngine) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=engine.most, max_keepalive_connections=engine.most)
    headers = {"authorization": f"Bearer {engine.key}"} if engine.key else {}
    return httpx.AsyncClient(
        base_url=engine.url, headers=headers, limits=limits, timeout=CALL_SECONDS, trust_env=False
    )


def _kept(part: Path) -> Iterator[Distilled]:
    """Yield what a stopped run has kept; its last line may be cut."""
    for line in part.read_bytes().splitlines() if part.exists() else []:
        try:
            yield msgspec.json.decode(line, type=Distilled)
        except msgspec.DecodeError:
            return


def _finish(earlier: Earlier, new: Sequence[Note], out: Path) -> str:
    """Write the notes, the earlier ones first, and return the hash of the file."""
    lines = [msgspec.json.encode(note) + b"\n" for note in (*earlier.notes, *new)]
    whole = b"".join(lines)
    atomic_write(out, whole)
    return hashlib.sha256(whole).hexdigest()


def _bare(question: str) -> str:
    return "".join(normal(question)) or question
