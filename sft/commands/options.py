"""What the commands of `its-sft` share: their options, and one line for what went wrong.

Only what an option's names need is imported here and at the top of the commands: `--help` would
otherwise wait for numpy, the tokenizers' library and the client.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from its import strategies
from its.cli import finite

from ..cli import CLI

if TYPE_CHECKING:
    from ..data.compose import ContextOptions
    from ..writing.personas import PersonaEngine

ERRORS = (OSError, ValueError)
"""What is said in one line: `sft.errors` are ValueErrors, and so are those of `its`."""


def known(name: str) -> str:
    """Return the strategy's name, or end the command with the nearest one."""
    try:
        return strategies.get(name).name
    except strategies.UnknownStrategy as error:
        CLI.fail(str(error))


class PlacementOption(StrEnum):
    """Where the context stands in the user message."""

    before = "before"
    after = "after"


Rows = Annotated[Path, typer.Argument(help="JSONL rows with a `problem` or a `question`.")]
How = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        callback=known,
        help=f"How each question's context is chosen: {', '.join(strategies.STRATEGIES)}.",
    ),
]
StrategyOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="An option of the strategy, such as sentences=2."),
]
Where = Annotated[PlacementOption, typer.Option(help="Where the context stands.")]
System = Annotated[str | None, typer.Option(metavar="TEXT", help="The system text of every row.")]
Instruction = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Joins every question, by a blank line."),
]
InstructionWhere = Annotated[
    PlacementOption, typer.Option(help="Where the instruction joins the question.")
]
Seed = Annotated[int, typer.Option(help="Chooses the contexts.")]
Mix = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=SHARE,...", help="For `mixed`: shares of similar, unsimilar, random."
    ),
]
Notes = Annotated[
    Path | None,
    typer.Option(help="For strategies that retrieve: JSONL of `text` and, if any, its `question`."),
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


def with_texts(
    how: "ContextOptions",
    system: str | None,
    instruction: str | None,
    instruction_placement: PlacementOption,
) -> "ContextOptions":
    """Return `how` with the texts that stand around every question; an empty text is none."""
    said = [text if text and text.strip() else None for text in (system, instruction)]
    layout = replace(
        how.layout, system=said[0], instruction=said[1],
        instruction_placement=instruction_placement.value,
    )  # fmt: skip
    return replace(how, layout=layout)


def contexts_of(
    strategy: str, placement: PlacementOption = PlacementOption.before, seed: int = 0,
    options: Sequence[str] | None = None,
    mix: str | None = None, notes: Path | None = None, personas: Path | None = None,
) -> "ContextOptions":  # fmt: skip
    """Return how questions get their contexts, as the command line says."""
    from its import notes as notes_
    from its.personas import bank
    from its.types import Layout

    from ..data.compose import ContextOptions

    by = strategies.get(strategy)
    if by.needs and notes is None:
        CLI.fail(f"--strategy {strategy} needs --notes FILE")
    if notes is not None and not by.needs:
        CLI.fail(f"--notes: the strategy {strategy!r} retrieves nothing")
    given = options_of(options or ())
    if mix is not None:
        if "mix" in given:
            CLI.fail("give one of --mix and --strategy-option mix=...")
        given["mix"] = mix_of(mix)
    people = bank.read(personas) if personas else bank.load()
    files = {need: notes_.load(notes) for need in by.needs if notes}
    shelf = strategies.Shelf(people, **files)
    return ContextOptions(strategy, Layout(placement.value), seed, shelf, by.read(given))


def options_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Return what `--strategy-option KEY=VALUE` gives; a value that is no JSON is a text."""
    given: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            CLI.fail(f"--strategy-option: {pair!r} is not KEY=VALUE, as in sentences=2")
        try:
            given[key] = json.loads(value)
        except json.JSONDecodeError:
            given[key] = value
    return given


def mix_of(text: str) -> dict[str, float]:
    """Return the shares of `--mix`."""
    try:
        pairs = [part.partition("=") for part in text.split(",")]
        return {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        CLI.fail(f"--mix: {text!r} is not NAME=SHARE,NAME=SHARE, as in similar=1,unsimilar=1")


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
