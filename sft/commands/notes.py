"""`its-sft notes`: notes for the strategies that retrieve, distilled by a model."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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


class KindOption(StrEnum):
    """What is distilled."""

    procedures = "procedures"
    concepts = "concepts"


def notes(
    file: Annotated[
        Path, typer.Argument(help="JSONL of solved rows: a question, and a solution or an answer.")
    ],
    engine: Annotated[
        str, typer.Option(metavar="URL", help="An OpenAI-compatible server, up to /v1.")
    ],
    model: Annotated[str, typer.Option(help="Who writes: the server's name for it.")],
    out: Annotated[Path, typer.Option(help="The notes: JSONL of `text` and `question`.")],
    kind: Annotated[
        KindOption, typer.Option(help="What is distilled: for the strategy of that name.")
    ] = KindOption.procedures,
    seed: Seed = 0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of one reply.")] = 400,
    temperature: Temperature = 0.3,
    extra: Extra = "{}",
    api_key: ApiKey = None,
    max_concurrency: MaxConcurrency = 256,
) -> None:
    """Have a model distil notes from FILE's solved rows, one call a row.

    Stopped or killed, the same command goes on where it was. A text that holds the question, its
    numbers or a box is left out.
    """
    from its.distil import KINDS

    from ..writing.notes import distil_all
    from ..writing.personas import EngineGone

    with CLI.one_line_errors(*ERRORS):
        writer = engine_of(
            engine, model, sampling_of(max_tokens, temperature, extra), api_key, max_concurrency
        )
        try:
            summary = distil_all(KINDS[kind], file, writer, out, seed)
        except EngineGone as error:
            CLI.fail(f"the engine at {engine} {error}", 1)
        if summary.failed:
            CLI.fail(f"{summary.failed:,} calls failed; the same command tries them again", 1)
        if not summary.notes:
            CLI.fail(f"no text of {summary.rows:,} rows kept to the rules: ask another --model", 1)
        broke = summary.rows > summary.fruitful
        CLI.say(
            f"{out}: {summary.notes:,} notes from {summary.fruitful:,} of {summary.rows:,} rows"
            + ("; the other rows' texts broke the rules" if broke else "")
        )
