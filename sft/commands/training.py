"""The commands around Axolotl."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from its.cli import Column, Form, Sheet, note_console, show

from ..cli import CLI
from ..errors import TrainingError
from ..training import environment
from .options import ERRORS

FOLDER = Path("sft")
Config = Annotated[Path, typer.Argument(help="A training file of Axolotl's, as sft/NAME.yml.")]


class Launcher(StrEnum):
    """What starts a training's processes."""

    accelerate = "accelerate"
    torchrun = "torchrun"
    python = "python"


def _torchrun(help: str) -> Any:
    return typer.Option(help=help, rich_help_panel="Several machines (torchrun's own flags)")


def recipes(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME|FILE]...", help="Recipes to write, or files to check."),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Write all of the list anew.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Hold files to Axolotl's schema (needs axolotl).")
    ] = False,
    form: Form = Form.TEXT,
) -> None:
    """List the training files, write them or others from their table, or check them strictly.

    A NAME is BASE-SET-STRATEGY, as in qwen2.5-32b-instruct-limo-v2-r, or with -lora, -qlora or
    -16gpu; the file is sft/NAME.yml. Axolotl drops keys that it does not know without a word; the
    check names them, and optimizers, schedulers and values that Axolotl would refuse on eight GPUs.
    """
    from ..training import recipes as table
    from ..training.recipe_files import write as written

    kept = list(table.recipes())
    if check:
        environment.borrow("axolotl")
        paths = [Path(name) for name in names or []]
        raise typer.Exit(
            0 if _check(paths or [FOLDER / f"{each.name}.yml" for each in kept]) else 1
        )
    if not (names or write):
        _list(kept, form)
        return
    with CLI.one_line_errors(*ERRORS):
        wanted = [
            table.named(Path(name).stem) if name.endswith(".yml") else table.named(name)
            for name in names or []
        ]
        files = written(wanted or kept, FOLDER)
    note_console().print(
        "\n".join(f"{file} written" for file in files), style="green", markup=False
    )


def _list(known: list, form: Form) -> None:  # type: ignore[type-arg]  # of Recipe, imported late
    from ..training.estimates import Estimate

    columns = [
        Column("sft/NAME.yml", text=True), Column("rows", "{:,}".format), Column("epochs"),
        Column("GPUs", lambda gpus: str(gpus or "CPU")), Column("GB each", "{:.0f}".format),
        Column("hours", "{:.1f}".format, missing=""),
    ]  # fmt: skip
    names = ("name", "rows", "epochs", "gpus", "gb_each", "hours")
    rows = []
    for recipe in known:
        estimate, gpus = Estimate(recipe), recipe.hardware.gpus
        rows.append(
            [recipe.name, recipe.set.trained, recipe.hyperparameters.epochs, gpus,
             estimate.gpu / 1e9, estimate.hours if gpus else None]
        )  # fmt: skip
    notes = ["estimates; any other by its-sft recipes NAME"]
    listed = [dict(zip(names, row, strict=True)) for row in rows]
    show(form, [Sheet("", columns, rows, notes)], listed)


def _check(files: list[Path]) -> bool:
    from ..training.check import faults

    console, right = Console(soft_wrap=True), True
    for path in files:
        try:
            found = faults(path)
        except TrainingError as error:
            CLI.fail(f"--check: {error}")
        right = right and not found
        for fault in found:
            console.print(f"{path}: {fault}", style="red", markup=False)
        if not found:
            console.print(f"{path}: right", style="green", markup=False)
    return right


def inspect(
    config: Config,
    row: Annotated[int, typer.Option(min=1, help="Which row of its data.")] = 1,
) -> None:
    """Show one training row token by token: what is trained in green, what is masked dim.

    The question and its context must be masked; the whole answer, its thinking and its end trained.
    """
    environment.borrow("axolotl")
    from ..training.inspect import show

    with CLI.one_line_errors(*ERRORS):
        show(config, row, Console(soft_wrap=True))


def train(
    configs: Annotated[list[Path], typer.Argument(help="Training files, one after the other.")],
    base_model: Annotated[
        str | None, typer.Option(metavar="DIR|ID", help="Instead of the files' own.")
    ] = None,
    launcher: Annotated[
        Launcher | None, typer.Option(help="How axolotl starts; torchrun for several machines.")
    ] = None,
    nnodes: Annotated[str | None, _torchrun("Machines, as 2 or 1:4.")] = None,
    nproc_per_node: Annotated[str | None, _torchrun("Processes on each, as 8 or gpu.")] = None,
    node_rank: Annotated[int | None, _torchrun("This machine's number, from 0.")] = None,
    rdzv_endpoint: Annotated[str | None, _torchrun("HOST:PORT where all meet.")] = None,
    rdzv_backend: Annotated[str | None, _torchrun("How they meet; else c10d.")] = None,
    rdzv_id: Annotated[str | None, _torchrun("The same on each; else FILE's name.")] = None,
    rdzv_conf: Annotated[str | None, _torchrun("As join_timeout=1800.")] = None,
    master_addr: Annotated[str | None, _torchrun("Machine 0, without a rendezvous.")] = None,
    master_port: Annotated[int | None, _torchrun("Its port.")] = None,
    max_restarts: Annotated[int | None, _torchrun("Times that a failed group starts anew.")] = None,
) -> None:
    """Train by several files in turn; those that are done are left out, the first failure stops.

    The same command goes on after a failure or a kill. No environment need be activated: axolotl is
    found beside this program, on the PATH, or in the cache of `make train-env`.
    """
    from ..training.train import train_all

    flags = {
        "nnodes": nnodes, "nproc_per_node": nproc_per_node, "node_rank": node_rank,
        "rdzv_endpoint": rdzv_endpoint, "rdzv_backend": rdzv_backend, "rdzv_id": rdzv_id,
        "rdzv_conf": rdzv_conf, "master_addr": master_addr, "master_port": master_port,
        "max_restarts": max_restarts,
    }  # fmt: skip
    if rdzv_endpoint and not rdzv_id:  # Axolotl would make one up, on each machine another
        flags["rdzv_id"] = configs[0].stem
    said = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    if said and launcher not in (None, Launcher.torchrun):
        CLI.fail(f"{said[0].partition('=')[0]}: is torchrun's; say --launcher torchrun, or nothing")
    chosen = Launcher.torchrun if said else launcher
    words = ["--launcher", chosen.value] if chosen else []
    with CLI.one_line_errors(*ERRORS):
        overrides = {"base_model": base_model} if base_model else {}
        words += ["--", *said] if said else []
        train_all(configs, words, Console(stderr=True, soft_wrap=True), overrides)


def merge(config: Config) -> None:
    """Merge a trained adapter into its base, manifest included: a folder to serve as it is."""
    from ..training.train import merge as merged

    with CLI.one_line_errors(*ERRORS):
        folder = merged(config, note_console())
    note_console().print(f"{folder}: ready to serve", style="green", markup=False)
