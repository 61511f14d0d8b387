"""Run the cells of a matrix that are missing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from its.files import atomic_write

from ..asking.ask_all import RunSpec, Sampling
from ..asking.measure import measure, settings_of
from ..errors import EvalError
from ..figures.shares import NAME, KeptShares, read_shares
from ..figures.sources import sources_of, told
from ..tasks.load import Task, load
from .matrix import Cell, CellShares, result
from .matrix_plan import MatrixPlan, cells, folder_of


@dataclass(frozen=True, slots=True)
class MeasuredMatrix:
    """The shares of every cell, and the project's commit when each was made."""

    found: CellShares = field(default_factory=dict)
    commits: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def changed(self) -> str | None:
        """Say which cells were made with uncommitted changes; `None` if none was."""
        cells = [name for name, commit in self.commits.items() if commit and commit.endswith("+")]
        if not cells:
            return None
        return f"made with uncommitted changes (commit with a +): {', '.join(cells)}"


def run_all(plan: MatrixPlan, base: Path, console: Console, dry: bool) -> MeasuredMatrix:
    """Run the cells that are missing; return each cell's shares by problem.

    Raises:
        EvalError: the task cannot be loaded; a folder holds another run; the server cannot be
            asked, calls of a cell failed, or somebody interrupted.
    """
    task = load(plan.task, data=base / plan.data if plan.data else None, seed=plan.seed)
    task = replace(task, problems=task.problems[: plan.limit])
    kept: dict[Cell, KeptShares] = {}
    every = list(cells(plan))
    for number, cell in enumerate(every, 1):
        folder = folder_of(plan, cell, base)
        place = f"[{number}/{len(every)}] {cell.model}"
        console.print(f"{place}, trained {cell.train}, asked {cell.test}", markup=False)
        if not dry:
            kept[cell] = _measured(_spec(plan, task, cell, folder), console)
    return MeasuredMatrix(
        {cell: each.shares for cell, each in kept.items()},
        {cell.name: each.commit for cell, each in kept.items()},
    )


def _measured(spec: RunSpec, console: Console) -> KeptShares:
    """Return a cell's shares: from their file where the cell's answers are not at hand."""
    ids = [problem.id for problem in spec.task.problems]
    file, settings = spec.folder / NAME, settings_of(spec)
    if file.exists() and not (spec.folder / "run.json").exists():
        return read_shares(file, settings, ids)
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
    return read_shares(file, run.settings(), ids)


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


def save(measured: MeasuredMatrix, path: Path) -> None:
    """Write the matrix as JSON."""
    whole = {**result(measured.found), "commits": dict(measured.commits)}
    atomic_write(path, json.dumps(whole, indent=2) + "\n")
