"""The command `its-sft personas`: its bar, its summary, and what it runs on."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from its import strategies
from its.cli import bar
from its.strategies import Shelf

from ..rows import MEMBER, count
from .journal import Journal
from .pace import Pace
from .personas import EngineClient, EngineGone, Summary, WritingJob, run, writable

CALL_SECONDS = 600.0
SHOWN = 10
"""Failures that are listed; the rest is counted."""


@dataclass(frozen=True, slots=True)
class PersonaEngine:
    """Who writes, and how it is asked."""

    url: str
    model: str
    sampling: Mapping[str, Any]
    key: str | None
    most: int


async def write_all(
    file: Path, strategy: str, seed: int, shelf: Shelf, server: PersonaEngine, out: Path
) -> bool:
    """Write the personas of `file` to `out`; tell whether all rows have one.

    Raises:
        ValueError: the strategy leaves nothing to write.
        DataError: a row has no question.
        DataError: there is a journal of another job.
    """
    writable(strategies.choose(strategy, "?", shelf=shelf, seed=seed, member=MEMBER))
    job = WritingJob(strategy, seed, shelf, server.model, server.sampling)
    console = Console(stderr=True)
    total = count(file)
    pace = Pace(server.most)
    limits = httpx.Limits(max_connections=server.most, max_keepalive_connections=server.most)
    headers = {"content-type": "application/json"}
    if server.key:
        headers["authorization"] = f"Bearer {server.key}"
    with Journal(out, job.identity) as journal:
        before = journal.count
        if before:
            console.print(f"going on after {before:,} of {total:,} rows")
        async with httpx.AsyncClient(
            base_url=server.url, headers=headers, limits=limits, timeout=CALL_SECONDS,
            trust_env=False,
        ) as client:  # fmt: skip
            engine = EngineClient(client, job, pace)
            with _bar(total, before, pace) as on_row:
                try:
                    summary = await run(job, file, journal, engine, pace, on_row)
                except EngineGone as error:
                    console.print(
                        f"its-sft: the engine at {server.url} {error}. What was written is kept in"
                        f" {journal.path}; the same command goes on from there",
                        style="red", markup=False, soft_wrap=True,
                    )  # fmt: skip
                    return False
        complete = journal.count >= total
        if complete:
            journal.finish()
    _tell(console, summary, out if complete else journal.path)
    return complete


@contextmanager
def _bar(total: int, before: int, pace: Pace) -> Iterator[Callable[[Summary], None]]:
    """Show progress; yield what to call after each row."""
    began = time.monotonic()
    with bar("personas", total, done=before) as advance:

        def on_row(summary: Summary) -> None:
            rate = summary.done / max(time.monotonic() - began, 1e-3)
            advance(f"personas, {rate:,.1f}/s, {pace.limit} at once")

        yield on_row


def _tell(console: Console, summary: Summary, kept: Path) -> None:
    """Say how the rows of this run ended, and list what failed."""
    table = Table(box=None, pad_edge=False)
    table.add_column("personas of this run")
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    for name, rows in (
        ("written at the first try", summary.first),
        ("written when asked again", summary.later),
        ("refused three times: our bank's", summary.bank),
        ("failed", len(summary.failed)),
    ):
        table.add_row(name, f"{rows:,}", f"{rows / max(summary.done, 1):.1%}")
    console.print(table)
    if summary.faults:
        often = sorted(summary.faults.items(), key=lambda pair: -pair[1])
        told = ", ".join(f"{name} {times:,}" for name, times in often)
        console.print(f"refused for: {told}", soft_wrap=True)
    console.print(f"{summary.tokens:,} tokens; kept in {kept}", soft_wrap=True)
    for row, reason in summary.failed[:SHOWN]:
        console.print(f"line {row}: {reason}", style="red", markup=False, soft_wrap=True)
    if (more := len(summary.failed) - SHOWN) > 0:
        console.print(f"and {more:,} more", style="red")
    if summary.failed:
        console.print("the same command tries the failed rows again", style="red")
