"""`its-sft notes`: a model distils notes from one's own solved rows, one call a row.

Rows are kept in `OUT.part` as they come, so that the same command goes on after a kill.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
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
    """How many rows were asked in all, how many gave notes, how many notes; rows that failed."""

    rows: int
    fruitful: int
    notes: int
    failed: int


def distil_all(
    kind: NoteKind, file: Path, engine: PersonaEngine, out: Path, seed: int
) -> NotesSummary:
    """Write the notes of FILE's rows to `out` (JSONL of `text` and `question`).

    Raises:
        DataError: a row has no question or solution, `out` is there already, or another run is at
            work on it.
        EngineGone: the engine cannot be reached.
    """
    part = out.with_name(f"{out.name}.part")
    try:
        with FileLock(f"{part}.lock", timeout=0):
            if out.exists():
                raise DataError(
                    f"{out} is there already, and what it holds was paid for; nothing was asked."
                    " Take it away, or name another --out"
                )
            return _run(_Job(kind, engine, seed), file, out, part)
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


def _run(job: _Job, file: Path, out: Path, part: Path) -> NotesSummary:
    done = {each.question_sha256: each for each in _kept(part) if each.job == job.id}
    todo = {row.question_sha256: row for row in read(file) if row.question_sha256 not in done}
    for row in todo.values():
        solution_of(row)  # a row without one is told before anything is paid
    with part.open("ab") as journal, bar("notes", len(todo)) as advance:

        def keep(found: Distilled) -> None:
            journal.write(msgspec.json.encode(found) + b"\n")
            journal.flush()
            done[found.question_sha256] = found

        failed = asyncio.run(_ask_all(job, list(todo.values()), keep, advance)) if todo else 0
    every = list(done.values())
    notes = sum(len(each.notes) for each in every)
    if notes and not failed:
        _finish(every, out)
        part.unlink()
    return NotesSummary(len(every), sum(bool(each.notes) for each in every), notes, failed)


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


def _finish(every: Sequence[Distilled], out: Path) -> None:
    rows = [{"text": note, "question": each.question} for each in every for note in each.notes]
    atomic_write(out, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
