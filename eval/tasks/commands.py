"""The commands `its-eval task` and `its-eval tasks`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .hub import FILES, HUB_SETS, NAMES


def task(
    name: Annotated[str, typer.Argument(help=f"{NAMES}; or a {FILES}.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSONL rows {id, problem, answer}.")],
    seed: Annotated[int, typer.Option(help="For arith and gym: draws the problems.")] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Read the task's problems from this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Write a task's problems to a file, as `its-sft build --decontaminate` wants them."""
    from rich.console import Console

    from .load import load, write_file

    loaded = load(name, data=data, seed=seed)
    write_file(loaded, out)
    rows = len(loaded.problems)
    if as_json:
        about = {"name": loaded.name, "out": str(out), "problems": rows, "sha256": loaded.sha256}
        print(json.dumps(about))
        return
    Console(stderr=True).print(f"{out}: {rows:,} problems, SHA-256 {loaded.sha256}", markup=False)


def tasks(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a task.")] = False,
) -> None:
    """List the tasks that have a name, those of the gym too where it is installed."""
    found = [*_public(), {"name": "arith", "problems": 200, "from": "made here, by --seed"}]
    gym, fault = _of_gym()
    if as_json:
        for each in [*found, *gym]:
            print(json.dumps(each))
        return
    for each in found:
        print(f"{each['name']:20} {each['problems']:>6,}  {each['from']}")
    print(f"gym:NAME{'':12} {'any':>6}  {fault or 'reasoning-gym, by --seed:'}")
    for category in sorted({each["category"] for each in gym}):
        shown = [_named(each) for each in gym if each["category"] == category]
        print(f"  {category}: {', '.join(shown)}")
    print(f"Or a {FILES}.")


def _public() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "problems": known.rows,
            "from": " ".join(filter(None, (known.id, known.config, known.split))),
        }
        for name, known in HUB_SETS.items()
    ]


def _of_gym() -> tuple[list[dict[str, Any]], str]:
    """Return the gym's tasks, and why there are none."""
    from ..errors import EvalError
    from . import gym

    try:
        return [{**each, "name": f"gym:{each['name']}"} for each in gym.tasks()], ""
    except EvalError as error:
        return [], str(error)


def _named(each: dict[str, Any]) -> str:
    name = str(each["name"]).removeprefix("gym:")
    return f"{name} (needs {each['missing']})" if each["missing"] else name
