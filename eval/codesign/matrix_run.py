"""Run the cells of a matrix that are missing, and show all of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from its.files import atomic_write

from ..asking.ask_all import RunSpec, Sampling
from ..asking.measure import measure, settings_of
from ..errors import EvalError
from ..figures.sources import sources_of, told
from ..tasks.load import Task, load
from .matrix import (
    Cell,
    Contrast,
    MatrixPlan,
    cells,
    contrasts,
    folder_of,
    interval,
    pooled,
    result,
    shares,
)  # fmt: skip

SHARES = "shares.json"
"""Each problem's share of right samples, in the task's order."""


def run_all(
    plan: MatrixPlan, base: Path, console: Console, dry: bool
) -> dict[Cell, dict[str, float]]:
    """Run the cells that are missing; return each cell's shares by problem.

    Raises:
        EvalError: the task cannot be loaded; a folder holds another run; the server cannot be
            asked, calls of a cell failed, or somebody interrupted.
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
        found[cell] = _measured(_spec(plan, task, cell, folder), console)
    return found


def _measured(spec: RunSpec, console: Console) -> dict[str, float]:
    """Return a cell's shares, kept in a file small enough to travel without the cell's answers."""
    ids = [problem.id for problem in spec.task.problems]
    kept, settings = spec.folder / SHARES, settings_of(spec)
    if kept.exists() and not (spec.folder / "run.json").exists():
        return dict(zip(ids, _kept(kept, settings), strict=True))
    run, _ = measure(spec)
    if not spec.accept_failed and (failed := run.failed()):
        message = (
            f"{spec.folder}: {failed} calls failed; the same command asks them again, and"
            " `accept_failed = true` in the plan counts them as wrong"
        )
        raise EvalError(message, 1)
    if sources := sources_of(run.outcomes().values()):
        for name, each in sources.items():
            console.print(f"contexts of {name}: {told(each)}", markup=False, soft_wrap=True)
    unordered = shares(run)  # as answers came; the bootstrap wants the same order each time
    found = {key: unordered[key] for key in ids}
    line = " ".join(f"{found[key]:.17g}" for key in ids)
    atomic_write(kept, json.dumps({"settings": settings, "shares": line}, indent=2) + "\n")
    return found


def _kept(file: Path, settings: Mapping[str, Any]) -> list[float]:
    try:
        about = json.loads(file.read_bytes())
        found = [float(share) for share in about["shares"].split()]
        same = about["settings"] == settings and len(found) == settings["problems"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EvalError(f"{file} is not a cell's ({type(error).__name__}): delete it") from error
    if not same:
        raise EvalError(f"{file} is of another cell: delete it, or choose another `out`")
    return found


def _spec(plan: MatrixPlan, task: Task, cell: Cell, folder: Path) -> RunSpec:
    sampling = Sampling(
        model=cell.model, samples=plan.samples, temperature=plan.temperature, top_p=plan.top_p,
        max_tokens=plan.max_tokens, seed=plan.seed, strategy=cell.test,
    )  # fmt: skip
    return RunSpec(
        task, plan.base_url, sampling, folder, concurrency=plan.concurrency, timeout=plan.timeout,
        retries=plan.retries, stop_on_error=not plan.accept_failed, max_mixed=plan.max_mixed,
        accept_failed=plan.accept_failed,
    )  # fmt: skip


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
