"""`its-sft notes`: notes for the strategies that retrieve, distilled by a model."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from its.strategies import SHOWN

from ..cli import CLI
from .options import (
    ERRORS,
    ApiKey,
    Extra,
    MaxConcurrency,
    Seed,
    Temperature,
    engine_of,
    sampling_of,
)

if TYPE_CHECKING:
    from ..writing.notes import NotesSummary


class KindOption(StrEnum):
    """What is distilled."""

    procedures = "procedures"
    concepts = "concepts"
    examples = "examples"


def notes(
    file: Annotated[
        Path, typer.Argument(help="JSONL of solved rows: a question, and a solution or an answer.")
    ],
    out: Annotated[Path, typer.Option(help="The notes: JSONL of `text` and `question`.")],
    engine: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible server, up to /v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Who writes: the server's name for it.")] = None,
    kind: Annotated[
        KindOption,
        typer.Option(help="For the strategy of that name; `examples` takes the rows as they are."),
    ] = KindOption.procedures,
    add_to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="An earlier version: its notes stand first, and stay as they are."
        ),
    ] = None,
    seed: Seed = 0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of one reply.")] = 400,
    temperature: Temperature = 0.3,
    extra: Extra = "{}",
    api_key: ApiKey = None,
    max_concurrency: MaxConcurrency = 256,
) -> None:
    """Have a model distil notes from FILE's solved rows, one call a row.

    Stopped or killed, the same command goes on where it was. A text that holds the question, its
    numbers or a box is left out. With --add-to, --out is a new version of that file, for which only
    questions that it does not have are asked.
    """
    from its.distil import KINDS

    from ..writing.notes import distil_all
    from ..writing.personas import EngineGone

    with CLI.one_line_errors(*ERRORS):
        try:
            if kind is KindOption.examples:
                summary = _examples(file, out, add_to, asked=engine or model)
            else:
                if engine is None or model is None:
                    CLI.fail(f"--kind {kind} needs --engine URL and --model NAME, who writes them")
                by = sampling_of(max_tokens, temperature, extra)
                writer = engine_of(engine, model, by, api_key, max_concurrency)
                summary = distil_all(KINDS[kind], file, writer, out, seed, add_to)
        except EngineGone as error:
            CLI.fail(f"the engine at {engine} {error}", 1)
        _tell(summary, out, kind, add_to)


def _examples(file: Path, out: Path, add_to: Path | None, asked: str | None) -> "NotesSummary":
    from ..writing.notes import take_solutions

    if asked is not None:
        CLI.fail("--kind examples takes the rows as they are: leave out --engine and --model")
    return take_solutions(file, out, add_to)


def _tell(summary: "NotesSummary", out: Path, kind: KindOption, add_to: Path | None) -> None:
    if summary.failed:
        CLI.fail(f"{summary.failed:,} calls failed; the same command tries them again", 1)
    if not summary.rows:
        CLI.say(f"Nothing is new: {add_to or 'FILE'} has every question. {out} was not written.")
        return
    if not summary.sha256:
        CLI.fail(f"no text of {summary.rows:,} rows kept to the rules: ask another --model", 1)
    broke = "; the other rows' texts broke the rules" if summary.rows > summary.fruitful else ""
    added = f", added to the {summary.earlier:,} of {add_to}" if add_to else ""
    key = "notes" if kind is KindOption.procedures else kind.value
    CLI.say(
        f"{out}: {summary.notes:,} notes from {summary.fruitful:,} of {summary.rows:,} rows"
        f"{broke}{added}. Its version is {summary.sha256[:SHOWN]}. To serve it, set"
        f' `personas.{key} = "{out.name}"` and send the proxy a SIGHUP.'
    )
