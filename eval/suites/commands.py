"""The command `its-eval suite`."""

import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from its.cli import Column, CommandLine, Form, Sheet, show

from ..errors import EvalError

if TYPE_CHECKING:
    from .plan import SuiteCell

CLI = CommandLine("its-eval")
INTERRUPTED = 130
DONE, FAILED, PARTIAL, NOT_BEGUN = "done", "failed", "partial", "not begun"


@dataclass(frozen=True, slots=True)
class CellResult:
    """What became of one cell. Shares are 0 to 1; figures are `None` where there are none.

    `status` is `done`, `partial` (some answers are there), `failed` (none is) or `not begun`.
    """

    task: str
    model: str
    folder: str
    status: str
    error: str | None = None
    problems: int | None = None
    samples: int | None = None
    pass_at_1: float | None = None
    low: float | None = None
    high: float | None = None
    failed: int | None = None
    tokens: float | None = None


def suite(
    file: Annotated[Path, typer.Argument(help="A TOML file: tasks, models, options of `run`.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cells and where they are kept; ask nothing.")
    ] = False,
    form: Form = Form.TEXT,
) -> None:
    """Run every task of FILE with every model of it, and print one table.

    The same command goes on where it stopped: finished cells are not asked again. A task or a model
    that fails does not keep the others from being run; the status is 1 then.
    """
    from .plan import read_suite

    cells = read_suite(file)
    results: list[CellResult] = []
    for number, cell in enumerate(cells, 1):
        if dry_run or any(each.error == "interrupted" for each in results):
            results.append(_result(cell, None))
            continue
        CLI.say(f"[{number}/{len(cells)}] {_name(cell.task)}, {cell.model}: {cell.folder}")
        results.append(_run(cell))
    if any(each.error == "interrupted" for each in results):
        status = INTERRUPTED
    else:
        status = int(not dry_run and any(each.status != DONE for each in results))
    show(form, [table(results)], [asdict(each) for each in results])
    if status:
        wrong = sum(each.status != DONE for each in results)
        raise EvalError(
            f"{wrong} of {len(results)} cells are not done; the same command goes on with them",
            status,
        )


def _run(cell: "SuiteCell") -> CellResult:
    """Run a cell as `its-eval run` does; what it prints goes to standard error."""
    from ..asking.commands import run

    try:
        with redirect_stdout(sys.stderr):
            run(cell.task, model=cell.model, out=cell.folder, **cell.options)
    except KeyboardInterrupt:
        return _result(cell, "interrupted")
    except EvalError as error:
        CLI.say(str(error), "red")
        interrupted = error.status == INTERRUPTED
        return _result(cell, "interrupted" if interrupted else str(error))
    except typer.Exit as end:  # an option was refused, in a line on standard error
        return _result(cell, f"refused with status {end.exit_code}; see above")
    return _result(cell, None)


def _result(cell: "SuiteCell", error: str | None) -> CellResult:
    """Return what the cell's folder holds."""
    head = (_name(cell.task), cell.model, str(cell.folder))
    try:
        summary: dict[str, Any] = json.loads((cell.folder / "summary.json").read_text("utf-8"))
        figures = summary["models"][-1]
        share = figures["pass_at_1"]
        tokens = figures.get("tokens") or {}
    except (OSError, ValueError, LookupError, TypeError):
        return CellResult(*head, FAILED if error else NOT_BEGUN, error)
    whole = not (error or summary.get("partial") or figures.get("failed"))
    return CellResult(
        *head, DONE if whole else PARTIAL, error, figures["problems"], figures["samples"],
        share["value"], share["low"], share["high"], figures["failed"], tokens.get("mean"),
    )  # fmt: skip


def _name(task: str) -> str:
    return Path(task).name if Path(task).is_file() else task


def table(results: Sequence[CellResult]) -> Sheet:
    """Return the results as a table; why a cell failed stands below it."""
    from ..pages.numbers import count, interval, percent

    columns = [
        Column("task", text=True), Column("model", text=True), Column("pass@1", percent),
        Column("95% interval", interval, parts=("low", "high")), Column("problems"),
        Column("answers"), Column("failed"), Column("tokens", count, missing="unknown"),
        Column("status", text=True),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    for each in results:
        ends = None if each.low is None else (each.low, each.high)
        rows.append(
            [each.task, each.model, each.pass_at_1, ends, each.problems, each.samples, each.failed,
             each.tokens, each.status]
        )  # fmt: skip
    faults = [f"{each.task}, {each.model}: {each.error}" for each in results if each.error]
    return Sheet("", columns, rows, faults)
