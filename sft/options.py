"""What the commands of `its-sft` share: their options, and one line for what went wrong."""

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
from its.urls import fault

from .raw import SourceError
from .rows import RowError
from .written import WrittenError

Strategy = StrEnum("Strategy", list(STRATEGIES))  # type: ignore[misc]  # the table is the source


class Placement(StrEnum):
    """Where the context stands in the user message."""

    before = "before"
    after = "after"


Rows = Annotated[Path, typer.Argument(help="JSONL rows with a `problem` or a `question`.")]
How = Annotated[Strategy, typer.Option(help="How each question's context is chosen.")]
Where = Annotated[Placement, typer.Option(help="Where the context stands.")]
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
Bank = Annotated[
    Path | None,
    typer.Option(help="Personas to choose from: JSONL of `persona` and `domain`; else our bank."),
]
MaxTokens = Annotated[int, typer.Option(min=1, help="Of one persona.")]
Temperature = Annotated[float, typer.Option(min=0, help="Of the model that writes personas.")]
Extra = Annotated[str, typer.Option(metavar="JSON", help="Further fields of each request.")]
ApiKey = Annotated[
    str | None, typer.Option(metavar="env:NAME", help="Where the server's key stands.")
]
MaxConcurrency = Annotated[
    int, typer.Option(min=1, help="Never more calls at once; the best number is found.")
]


def shelf_of(
    strategy: Strategy, mix: str | None, notes: Path | None, personas: Path | None = None
) -> Shelf:
    """Return what the strategy chooses from."""
    if strategy.value == "retrieved" and notes is None:
        fail("--strategy retrieved needs --notes FILE")
    people = bank.read(personas) if personas else bank.load()
    return Shelf(people, mix_of(mix), notes_.load(notes) if notes else None)


def mix_of(text: str | None) -> dict[str, float]:
    """Return the shares of `--mix`."""
    if text is None:
        return dict(EVEN)
    try:
        pairs = [part.partition("=") for part in text.split(",")]
        mix = {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        fail(f"--mix: {text!r} is not NAME=SHARE,NAME=SHARE, as in similar=1,unsimilar=1")
    if wrong := mix_fault(mix):
        fail(f"--mix: {wrong}")
    return mix


def object_of(text: str) -> dict[str, Any]:
    """Return the object of `--extra`."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        fail(f"--extra: not JSON: {error}")
    if not isinstance(value, dict):
        fail("--extra: must be a JSON object, as in '{\"top_p\": 0.9}'")
    return value


def key_of(reference: str | None) -> str | None:
    """Return the key that `--api-key` names."""
    if reference is None:
        return None
    kind, _, name = reference.partition(":")
    if kind != "env":
        fail("--api-key: must be env:NAME; no secret stands on a command line")
    if not os.environ.get(name):
        fail(f"--api-key: the environment has no {name}")
    return os.environ[name]


@contextmanager
def told() -> Iterator[None]:
    """Say in one line what went wrong."""
    try:
        yield
    except BrokenPipeError:
        os._exit(141)  # as every filter does whose reader has left
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from here", 130)
    except (OSError, ValueError, RowError, SourceError, WrittenError) as error:
        fail(str(error))


def url_of(option: str, url: str) -> str:
    """Return the address of a server, or end the command where it is none."""
    if wrong := fault(url):
        fail(f"{option}: {url[:100]!r} {wrong}, as in http://127.0.0.1:8000/v1")
    return url


def fail(message: str, status: int = 2) -> NoReturn:
    """End the command with one line on standard error."""
    Console(stderr=True, soft_wrap=True).print(f"its-sft: {message}", markup=False, style="red")
    raise typer.Exit(status)
