"""`its-sft`: prepare the training data of a co-designed checkpoint."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from its import notes as notes_
from its.personas import bank
from its.strategies import EVEN, STRATEGIES, Shelf, mix_fault
from its.types import Layout

from . import written as written_
from .compose import Contexts
from .compose import compose as composed
from .rows import RowError, read

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


Rows = Annotated[Path, typer.Argument(help="JSONL rows with a `problem` or a `question`.")]
How = Annotated[Strategy, typer.Option(help="How each question's context is chosen.")]
Seed = Annotated[int, typer.Option(help="Chooses the contexts.")]
Mix = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=SHARE,...", help="For `mixed`: shares of similar, unsimilar, random."
    ),
]
Notes = Annotated[
    Path | None, typer.Option(help="For `retrieved`: JSONL of `text` and, if any, its `question`.")
]


@app.command()
def compose(
    file: Rows,
    strategy: How,
    placement: Annotated[
        Placement, typer.Option(help="Where the context stands.")
    ] = Placement.before,
    seed: Seed = 0,
    mix: Mix = None,
    notes: Notes = None,
    personas: Annotated[
        Path | None, typer.Option(help="What `its-sft personas` wrote for FILE; else our bank.")
    ] = None,
) -> None:
    """Print FILE's rows with the `messages` that training would see, one JSON object a line.

    The prompt is composed by the code that composes it in the proxy.
    """
    with _told():
        how = Contexts(strategy.value, Layout(placement.value), seed, _shelf(strategy, mix, notes))
        written = written_.read(personas) if personas else None
        for row in composed(read(file), how, written):
            print(json.dumps(row, ensure_ascii=False))


@app.command()
def personas(
    file: Rows,
    strategy: How,
    engine: Annotated[
        str, typer.Option(metavar="URL", help="An OpenAI-compatible server, up to /v1.")
    ],
    model: Annotated[str, typer.Option(help="Who writes: the server's name for it.")],
    out: Annotated[Path, typer.Option(help="The personas, in the order of FILE's rows.")],
    seed: Seed = 0,
    mix: Mix = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of one persona.")] = 120,
    temperature: Annotated[float, typer.Option(min=0)] = 0.8,
    extra: Annotated[
        str, typer.Option(metavar="JSON", help="Further fields of each request.")
    ] = "{}",
    api_key: Annotated[
        str | None, typer.Option(metavar="env:NAME", help="Where the server's key stands.")
    ] = None,
    max_concurrency: Annotated[
        int, typer.Option(min=1, help="Never more calls at once; the best number is found.")
    ] = 256,
) -> None:
    """Have a model write the persona of every row of FILE.

    Stopped or killed, the same command goes on where it was: nothing that was paid for is lost.
    A text that breaks the rules is asked for again, twice; then our own bank serves.
    """
    from .job import Server, write_all

    with _told():
        shelf = _shelf(strategy, mix, None)
        sampling = {"max_tokens": max_tokens, "temperature": temperature, **_object(extra)}
        server = Server(engine, model, sampling, _key(api_key), max_concurrency)
        complete = asyncio.run(write_all(file, strategy.value, seed, shelf, server, out))
    raise typer.Exit(0 if complete else 1)


@app.command()
def parity(
    data: Annotated[Path, typer.Option(help="Rows that `its-sft compose` made.")],
    tokenizer: Annotated[
        str, typer.Option(metavar="DIR|ID", help="The tokenizer that training used.")
    ],
    proxy: Annotated[str, typer.Option(metavar="URL", help="The proxy, up to /v1.")],
    model: Annotated[str, typer.Option(help="The member that serves the checkpoint.")],
    rows: Annotated[int, typer.Option(min=0, help="Rows to check, drawn by --seed; 0: all.")] = 20,
    seed: Annotated[int, typer.Option(help="Draws the rows.")] = 0,
    api_key: Annotated[
        str | None, typer.Option(metavar="env:NAME", help="Where the proxy's key stands.")
    ] = None,
) -> None:
    """Prove that serving shows the model the very tokens that training showed it.

    For each row, the chat that training saw is tokenized here; the same question and persona go to
    the proxy, which composes them and has its engine tokenize. The first difference is shown.
    """
    from .parity import ParityError, compare_all

    with _told():
        try:
            same = compare_all(data, tokenizer, proxy, model, rows, seed, _key(api_key))
        except ParityError as error:
            _fail(str(error))
    raise typer.Exit(0 if same else 1)


def _shelf(strategy: Strategy, mix: str | None, notes: Path | None) -> Shelf:
    if strategy.value == "retrieved" and notes is None:
        _fail("--strategy retrieved needs --notes FILE")
    return Shelf(bank.load(), _mix(mix), notes_.load(notes) if notes else None)


def _mix(text: str | None) -> dict[str, float]:
    if text is None:
        return dict(EVEN)
    try:
        pairs = [part.partition("=") for part in text.split(",")]
        mix = {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        _fail(f"--mix: {text!r} is not NAME=SHARE,NAME=SHARE, as in similar=1,unsimilar=1")
    if wrong := mix_fault(mix):
        _fail(f"--mix: {wrong}")
    return mix


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        _fail(f"--extra: not JSON: {error}")
    if not isinstance(value, dict):
        _fail("--extra: must be a JSON object, as in '{\"top_p\": 0.9}'")
    return value


def _key(reference: str | None) -> str | None:
    if reference is None:
        return None
    kind, _, name = reference.partition(":")
    if kind != "env":
        _fail("--api-key: must be env:NAME; no secret stands on a command line")
    if not os.environ.get(name):
        _fail(f"--api-key: the environment has no {name}")
    return os.environ[name]


@contextmanager
def _told() -> Iterator[None]:
    """Say in one line what went wrong."""
    try:
        yield
    except BrokenPipeError:
        os._exit(141)  # as every filter does whose reader has left
    except KeyboardInterrupt:
        _fail("stopped; the same command goes on from here", 130)
    except (OSError, ValueError, RowError, written_.WrittenError) as error:
        _fail(str(error))


def _fail(message: str, status: int = 2) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"its-sft: {message}", markup=False, style="red")
    raise typer.Exit(status)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
