"""The commands `its-eval matrix` and `its-eval compare`: what they run and print."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from its.files import atomic_write

from .ask import Patience
from .compare import Comparison
from .matrix import (
    Cell,
    Contrast,
    Plan,
    cells,
    contrasts,
    folder_of,
    interval,
    pooled,
    result,
    shares,
)  # fmt: skip
from .run import Sampling
from .run_job import Job, measure
from .samples import RunError
from .tasks import Task, load

SHARES = "shares.json"
"""Each problem's share of right samples, in the task's order."""


def run_all(plan: Plan, base: Path, console: Console, dry: bool) -> dict[Cell, dict[str, float]]:
    """Run the cells that are missing; return each cell's shares by problem.

    Raises:
        RunError: a folder holds another run, or calls of a cell failed.
        EndError: the server cannot be asked, or somebody interrupted.
        TaskError: the task cannot be loaded.
    """
    task = load(plan.task, data=base / plan.data if plan.data else None, seed=plan.seed)
    task = replace(task, problems=task.problems[: plan.limit])
    found: dict[Cell, dict[str, float]] = {}
    every = list(cells(plan))
    for number, cell in enumerate(every, 1):
        folder = folder_of(plan, cell, base)
        place = f"[{number}/{len(every)}] {cell.model}"
        console.print(f"{place}, trained {cell.train}, asked {cell.test}", markup=False)
        if dry:
            continue
        found[cell] = _measured(_job(plan, task, cell, folder))
    return found


def _measured(job: Job) -> dict[str, float]:
    """Return a cell's shares, kept in a file small enough to travel without the cell's answers."""
    ids = [problem.id for problem in job.task.problems]
    kept = job.folder / SHARES
    if kept.exists() and not (job.folder / "run.json").exists():
        return dict(zip(ids, _kept(kept, job.settings), strict=True))
    failed = measure(job)
    if failed:
        raise RunError(f"{job.folder}: {failed} calls failed; the same command asks them again")
    unordered = shares(job.folder)  # as answers came; the bootstrap wants the same order each time
    found = {key: unordered[key] for key in ids}
    line = " ".join(f"{found[key]:.17g}" for key in ids)
    atomic_write(kept, json.dumps({"settings": job.settings, "shares": line}, indent=2) + "\n")
    return found


def _kept(file: Path, settings: Mapping[str, Any]) -> list[float]:
    try:
        about = json.loads(file.read_bytes())
        found = [float(share) for share in about["shares"].split()]
        same = about["settings"] == settings and len(found) == settings["problems"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunError(f"{file} is not a cell's ({type(error).__name__}): delete it") from error
    if not same:
        raise RunError(f"{file} is of another cell: delete it, or choose another `out`")
    return found


def _job(plan: Plan, task: Task, cell: Cell, folder: Path) -> Job:
    sampling = Sampling(
        model=cell.model, samples=plan.samples, temperature=plan.temperature, top_p=plan.top_p,
        max_tokens=plan.max_tokens, seed=plan.seed, strategy=cell.test,
    )  # fmt: skip
    patience = Patience(plan.timeout, plan.retries)
    return Job(task, plan.base_url, sampling, folder, plan.concurrency, patience, True, False, None)


def save(found: Mapping[Cell, Mapping[str, float]], path: Path) -> None:
    """Write the matrix as JSON."""
    atomic_write(path, json.dumps(result(found), indent=2) + "\n")


def show(found: Mapping[Cell, Mapping[str, float]], console: Console) -> None:
    """Print the matrix, co-designed cells in bold, and what the contrasts say."""
    found = pooled(found)
    tests = list(dict.fromkeys(cell.test for cell in found))
    table = Table(title="pass@1 with its 95% interval; * contexts in both stages or in none",
                  title_justify="left", padding=(0, 1, 0, 0))  # fmt: skip
    table.add_column("trained \\ asked")
    for test in tests:
        table.add_column(test, justify="right")
    for train in dict.fromkeys(cell.train for cell in found):
        row = [
            _shown(cell, interval(found[cell]).value, *_bounds(found[cell]))
            for cell in found
            if cell.train == train
        ]
        table.add_row(train, *row)
    console.print(table)
    if made := contrasts(found):
        console.print(_contrasts(made))


def _bounds(found: Mapping[str, float]) -> tuple[float, float]:
    share = interval(found)
    return share.low, share.high


def _shown(cell: Cell, value: float, low: float, high: float) -> str:
    text = f"{value:.1%} ({low:.0%} - {high:.0%})"
    return f"[bold]{text} *[/]" if cell.co_designed else f"{text}  "


def _contrasts(made: Sequence[Contrast]) -> Table:
    table = Table(title="contexts in both stages, against contexts ...", title_justify="left")
    for name in ("", "both", "then", "difference", "95% interval", "p"):
        table.add_column(name, justify="right" if name else "left")
    for contrast in made:
        share = contrast.difference
        table.add_row(
            contrast.name, f"{contrast.both:.1%}", f"{contrast.one:.1%}", f"{share.value:+.1%}",
            f"{share.low:+.1%} to {share.high:+.1%}", f"{contrast.p:.3g}",
        )  # fmt: skip
    return table


def comparisons(made: Sequence[Comparison]) -> Table:
    """Return comparisons as a table that fits 80 columns."""
    table = Table(padding=(0, 1, 0, 0), box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("first, then", overflow="fold", min_width=16)
    for name in ("prob-\nlems", "first", "then", "differ-\nence", "95%\ninterval", "gained\n/lost",
                 "p"):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True)
    for each in made:
        share = each.difference
        table.add_row(
            f"{each.one},\n{each.two}", f"{each.problems}",
            f"{each.first:.1%}", f"{each.second:.1%}",
            f"{share.value:+.1%}", f"{share.low:+.1%} to {share.high:+.1%}",
            f"{each.gained}/{each.lost}", f"{each.p:.3g}",
        )  # fmt: skip
    return table
