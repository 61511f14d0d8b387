"""What the commands of `its-sft` share: their options, and one line for what went wrong.

Only what an option's names need is imported here and at the top of the commands: `--help` would
otherwise wait for numpy, the tokenizers' library and the client.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from its.cli import finite
from its.strategies import EVEN, STRATEGIES, Shelf, mix_fault

from ..cli import CLI

if TYPE_CHECKING:
    from ..writing.personas import PersonaEngine

ERRORS = (OSError, ValueError)
"""What is said in one line: `sft.errors` are ValueErrors, and so are those of `its`."""

StrategyOption = StrEnum("StrategyOption", list(STRATEGIES))  # type: ignore[misc]  # the table is the source


class PlacementOption(StrEnum):
    """Where the context stands in the user message."""

    before = "before"
    after = "after"


Rows = Annotated[Path, typer.Argument(help="JSONL rows with a `problem` or a `question`.")]
How = Annotated[StrategyOption, typer.Option(help="How each question's context is chosen.")]
Where = Annotated[PlacementOption, typer.Option(help="Where the context stands.")]
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
Temperature = Annotated[
    float, typer.Option(min=0, callback=finite, help="Of the model that writes personas.")
]
Extra = Annotated[str, typer.Option(metavar="JSON", help="Further fields of each request.")]
ApiKey = Annotated[
    str | None, typer.Option(metavar="env:NAME|file:PATH", help="Where the server's key stands.")
]
MaxConcurrency = Annotated[
    int, typer.Option(min=1, help="Never more calls at once; the best number is found.")
]


def shelf_of(
    strategy: StrategyOption, mix: str | None, notes: Path | None, personas: Path | None = None
) -> Shelf:
    """Return what the strategy chooses from."""
    if strategy.value == "retrieved" and notes is None:
        CLI.fail("--strategy retrieved needs --notes FILE")
    from its import notes as notes_
    from its.personas import bank

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
        CLI.fail(f"--mix: {text!r} is not NAME=SHARE,NAME=SHARE, as in similar=1,unsimilar=1")
    if wrong := mix_fault(mix):
        CLI.fail(f"--mix: {wrong}")
    return mix


def sampling_of(max_tokens: int, temperature: float, extra: str) -> dict[str, Any]:
    """Return the request fields with which a model is asked to write personas."""
    further = CLI.json_object("--extra", extra)
    return {"max_tokens": max_tokens, "temperature": temperature, **further}


def engine_of(
    url: str, model: str, sampling: Mapping[str, Any], api_key: str | None, most: int
) -> "PersonaEngine":
    """Return the engine that writes personas."""
    from ..writing.personas import PersonaEngine

    key = CLI.secret("--api-key", api_key)
    return PersonaEngine(CLI.url("--engine", url), model, sampling, key, most)
