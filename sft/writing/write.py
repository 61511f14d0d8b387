"""The command `its-sft personas`: its bar, its summary, and what it runs on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from its.cli import bar, note_console
from its.variety import variety

from ..cli import CLI
from ..rows import questions, read
from .journal import Journal, PersonaFile
from .pace import Pace
from .personas import EngineClient, EngineGone, Summary, WritingJob, check_writable, run

CALL_SECONDS = 600.0
SHOWN = 10
"""Failures that are listed; the rest is counted."""


async def write_all(job: WritingJob, file: Path, out: Path) -> bool:
    """Write the personas of `file` to `out`; tell whether all rows have one.

    Raises:
        DataError: the strategy leaves nothing to write, a row has no question, there are no rows,
            or what stands at `out` is of another job.
    """
    check_writable(job)
    console = note_console()
    wanted = questions(file)
    with Journal(out, job.identity) as journal:
        before = sum(question in journal for question in wanted)
        if before == len(wanted):
            console.print(
                f"{out} has the personas of all {before:,} questions: nothing to write. Delete it"
                " to have them written anew", style="green", markup=False, soft_wrap=True,
            )  # fmt: skip
            journal.finish(read(file))
            return True
        if before:
            console.print(f"going on after {before:,} of {len(wanted):,} rows")
        try:
            summary = await _ask_all(job, file, journal, before, len(wanted))
        except EngineGone as error:
            CLI.say(
                f"the engine at {job.engine.url} {error}. What was written is kept in"
                f" {journal.path}; run the same command again to go on from there",
                "red",
            )
            return False
        complete = all(question in journal for question in wanted)
        if complete:
            journal.finish(read(file))
    _print_summary(console, summary, out if complete else journal.path)
    if complete:
        distinct, effective = variety(PersonaFile(out).texts())
        console.print(
            f"{distinct:,} different personas, {effective:,.1f} effective: a set in which each of"
            " so many stands equally often would vary as much", soft_wrap=True,
        )  # fmt: skip
    return complete


async def _ask_all(
    job: WritingJob, file: Path, journal: Journal, before: int, total: int
) -> Summary:
    server = job.engine
    pace = Pace(server.most)
    limits = httpx.Limits(max_connections=server.most, max_keepalive_connections=server.most)
    headers = {"authorization": f"Bearer {server.key}"} if server.key else {}
    async with httpx.AsyncClient(
        base_url=server.url, headers=headers, limits=limits, timeout=CALL_SECONDS, trust_env=False
    ) as client:
        engine = EngineClient(client, job.engine, pace)
        await engine.require_there()
        with _bar(total, before, pace) as on_row:
            return await run(job, file, journal, engine, pace, on_row)


@contextmanager
def _bar(total: int, before: int, pace: Pace) -> Iterator[Callable[[Summary], None]]:
    """Show progress; yield what to call after each row."""
    began = time.monotonic()
    with bar("personas", total, done=before) as advance:

        def on_row(summary: Summary) -> None:
            rate = summary.done / max(time.monotonic() - began, 1e-3)
            advance(f"personas, {rate:,.1f}/s, {pace.limit} at once")

        yield on_row


def _print_summary(console: Console, summary: Summary, kept: Path) -> None:
    """Say how the rows of this run ended, and list what failed."""
    table = Table(box=None, pad_edge=False)
    table.add_column("personas of this run")
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    for name, rows in (
        ("written at the first try", summary.first),
        ("written when asked again", summary.later),
        ("refused three times: not a model's", summary.bank),
        ("failed", len(summary.failed)),
    ):
        table.add_row(name, f"{rows:,}", f"{rows / max(summary.done, 1):.1%}")
    console.print(table)
    if summary.faults:
        often = sorted(summary.faults.items(), key=lambda pair: -pair[1])
        told = ", ".join(f"{name} {times:,}" for name, times in often)
        console.print(f"refused for: {told}", markup=False, soft_wrap=True)
    console.print(f"{summary.tokens:,} tokens; kept in {kept}", markup=False, soft_wrap=True)
    for row, reason in summary.failed[:SHOWN]:
        console.print(f"line {row}: {reason}", style="red", markup=False, soft_wrap=True)
    if (more := len(summary.failed) - SHOWN) > 0:
        console.print(f"and {more:,} more", style="red")
    if summary.failed:
        console.print("the same command tries the failed rows again", style="red")
