"""The commands `its-eval matrix`, `its-eval power` and `its-eval codesign`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from its.cli import Form, finite, note_console, show

from ..errors import EvalError


def matrix(
    plan: Annotated[Path, typer.Argument(help="A plan, a TOML file (docs/eval.md).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the cells and end.")] = False,
    form: Form = Form.TEXT,
) -> None:
    """Run train strategy x test strategy: what is missing is run, what is done is kept.

    Prints each cell with its interval, and holds "contexts in both stages" against "in one" and
    "in neither": over checkpoints of several training seeds, and over problems.
    """

    from .matrix import result
    from .matrix_plan import read_matrix_plan
    from .matrix_run import run_all, save
    from .tables import matrix_tables

    read = read_matrix_plan(plan)
    measured = run_all(read, plan.parent, note_console(), dry_run)
    if not dry_run:
        save(measured, plan.parent / read.out / "matrix.json")
        show(form, matrix_tables(measured.found, measured.changed), [result(measured.found)])


def power(
    pilot: Annotated[
        Path | None,
        typer.Argument(metavar="[MATRIX]", help="A pilot's matrix.json: how checkpoints vary."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Training seeds of each strategy.")] = 8,
    arms: Annotated[
        tuple[int, int], typer.Option(min=1, help="Strategies on the two sides of a comparison.")
    ] = (1, 1),
    hypotheses: Annotated[
        int, typer.Option(min=1, help="Tests made together (Holm): each has a share of the 5%.")
    ] = 1,
    problems: Annotated[
        int, typer.Option(min=1, help="Problems; for two cells of one checkpoint.")
    ] = 1000,
    sd: Annotated[
        float | None,
        typer.Option(
            min=0, callback=finite, help="SD of accuracy between checkpoints, as a share."
        ),
    ] = None,
    correlation: Annotated[
        float | None,
        typer.Option(
            min=-1, max=1, callback=finite, help="Of a checkpoint's accuracy with and without."
        ),
    ] = None,
    form: Form = Form.TEXT,
) -> None:
    """Reckon what an experiment can show, from how the checkpoints of a pilot vary.

    Without a pilot, --sd 0.06 and --correlation 0.78 are assumed: an SD of 6 points between
    checkpoints, and of 4 points of what a context changes within one.
    """
    from .power_run import power_of, power_tables

    found = power_of(pilot, sd, correlation, seeds, arms, hypotheses, problems)
    show(form, power_tables(found), [found.as_json()])


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
