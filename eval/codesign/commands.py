"""The commands `its-eval matrix` and `its-eval codesign`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from its.cli import note_console

from ..errors import EvalError


def matrix(
    plan: Annotated[Path, typer.Argument(help="A plan, a TOML file (docs/eval.md).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the cells and end.")] = False,
) -> None:
    """Run train strategy x test strategy: what is missing is run, what is done is kept.

    Prints each cell with its interval, and holds "contexts in both stages" against "in one".
    """
    from rich.console import Console

    from .matrix import read_matrix_plan
    from .matrix_run import run_all, save, show

    read = read_matrix_plan(plan)
    found = run_all(read, plan.parent, note_console(), dry_run)
    if not dry_run:
        save(found, plan.parent / read.out / "matrix.json")
        show(found, Console())


def codesign(
    plan: Annotated[Path, typer.Argument(help="A plan, such as eval/codesign/cpu.toml.")],
    section: Annotated[
        str | None, typer.Option(help="A smaller plan of it: a name under `sections` in the file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; else runs/codesign-NAME.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Do this stage, or this step of --dry-run, alone."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run.")] = False,
) -> None:
    """Train, serve and measure train strategy x test strategy, and the vote: all by commands.

    Interrupted or killed, the same command goes on: what is done is kept. Run it in a clone, where
    the Axolotl files are.
    """

    from .plan import read_experiment
    from .runner import ExperimentRunner
    from .steps import steps

    root = Path(__file__).parents[2]
    asked = read_experiment(plan, section)
    name = f"codesign-{asked.name}{f'-{section}' if section else ''}"
    folder = (out or Path("runs") / name).absolute()
    every = steps(asked, folder, root)
    wanted = [step for step in every if only in {None, step.stage, step.name}]
    if not wanted:
        stages = ", ".join(dict.fromkeys(step.stage for step in every))
        raise EvalError(
            f"--only {only}: this plan's stages are {stages}; --dry-run names the steps"
        )
    if dry_run:
        for step in wanted:
            print("\n".join([f"# {step.name}", *step.lines, ""]))
        return
    for number in (signal.SIGTERM, signal.SIGHUP):  # both end the run as Ctrl-C does: in order
        signal.signal(number, signal.default_int_handler)
    try:
        ExperimentRunner(folder, root, note_console()).run(asked, wanted)
    except KeyboardInterrupt:
        message = "interrupted; the same command goes on with what is missing"
        raise EvalError(message, 130) from None
