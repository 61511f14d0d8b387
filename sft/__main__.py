"""`its-sft`: prepare the training data of a co-designed checkpoint."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from its.personas import bank
from its.strategies import STRATEGIES
from its.types import Layout

from .compose import Contexts, RowError
from .compose import compose as composed

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Prepare the training data of a checkpoint that is asked with a context.",
)

Strategy = StrEnum("Strategy", list(STRATEGIES))  # type: ignore[misc]  # the table is the source


class Placement(StrEnum):
    """Where the context stands in the user message."""

    before = "before"
    after = "after"


@app.callback()
def _commands() -> None:
    """Keep `compose` a command, even while it is alone."""


@app.command()
def compose(
    file: Annotated[Path, typer.Argument(help="JSONL rows with a `problem` or a `question`.")],
    strategy: Annotated[Strategy, typer.Option(help="How each question's context is chosen.")],
    placement: Annotated[
        Placement, typer.Option(help="Where the context stands.")
    ] = Placement.before,
    seed: Annotated[int, typer.Option(help="Chooses the contexts.")] = 0,
) -> None:
    """Print FILE's rows with the `messages` that training would see, one JSON object a line.

    The prompt is composed by the code that composes it in the proxy.
    """
    how = Contexts(strategy.value, Layout(placement.value), seed)
    try:
        with file.open(encoding="utf-8") as lines:
            for row in composed(lines, how, bank.load()):
                print(json.dumps(row, ensure_ascii=False))
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"cannot read {file}: {error}")
    except RowError as error:
        _fail(f"{file}: {error}")


def _fail(message: str) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"its-sft: {message}", markup=False, style="red")
    raise typer.Exit(2)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
