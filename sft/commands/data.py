"""The commands that make and check training data."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..cli import CLI
from ..data.sets import FILTERS, PUBLIC, SOURCES
from .options import (
    ERRORS,
    ApiKey,
    Bank,
    Extra,
    How,
    Instruction,
    InstructionWhere,
    MaxConcurrency,
    MaxTokens,
    Mix,
    Notes,
    PlacementOption,
    Rows,
    Seed,
    StrategyOption,
    System,
    Temperature,
    Where,
    contexts_of,
    engine_of,
    sampling_of,
    with_texts,
)

SetOption = StrEnum("SetOption", list(PUBLIC))  # type: ignore[misc]  # the tables are the source
FilterOption = StrEnum("FilterOption", list(FILTERS))  # type: ignore[misc]


def build(
    strategy: How,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder that is made.")],
    set_: Annotated[SetOption | None, typer.Option("--set", help="A named training set.")] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help=f"{', '.join(SOURCES)}, or a JSONL file."),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Where a public source lies, if not on the hub.",
        ),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows to draw; else the set's own number, or all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the rows and chooses the contexts.")] = 0,
    placement: Where = PlacementOption.before,
    system: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="The system text of every row; else the set's own. '' is none."
        ),
    ] = None,
    instruction: Instruction = None,
    instruction_placement: InstructionWhere = PlacementOption.after,
    strategy_option: StrategyOption = None,
    mix: Mix = None,
    notes: Notes = None,
    bank: Bank = None,
    personas: Annotated[
        str,
        typer.Option(
            metavar="bank|generate|FILE",
            help="The bank, a model (--engine), or a file of each question's.",
        ),
    ] = "bank",
    filter_: Annotated[
        list[FilterOption] | None, typer.Option("--filter", help="Keep only such rows.")
    ] = None,
    decontaminate: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="JSONL of test questions that must not be trained on."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count bad rows, go on.")] = False,
    hold_out: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of the rows, so many go to heldout.jsonl.")
    ] = 0,
    ignore_field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A field of FILE's rows or turns that may be lost."),
    ] = None,
    question_column: Annotated[str | None, typer.Option(help="Where FILE has it.")] = None,
    answer_column: Annotated[str | None, typer.Option(help="Where FILE has it.")] = None,
    thinking_column: Annotated[
        str | None, typer.Option(help="Reasoning that stands in <think> before the answer.")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="DIR|ID", help="Counts tokens: for the data card and --max-tokens."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, help="Leave out rows longer than this with the longest context there is."
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="URL", help="Who writes personas: a server, up to /v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The server's name for the writer.")] = None,
    persona_max_tokens: MaxTokens = 120,
    temperature: Temperature = 0.8,
    extra: Extra = "{}",
    api_key: ApiKey = None,
    max_concurrency: MaxConcurrency = 256,
) -> None:
    """Build a training set: rows drawn, contexts put in, record and data card written.

    A set is the same rows in every strategy, and ot-1k is a part of ot-15k. Stopped, nothing half
    is left; personas that a model wrote are kept, and the same command goes on with them.
    """
    from ..data.build import BuildOptions
    from ..data.build import build as built
    from ..data.examples import Columns

    with CLI.one_line_errors(*ERRORS):
        if personas == "generate" and not (engine and model):
            CLI.fail("--personas generate needs --engine URL and --model NAME")
        if max_tokens is not None and tokenizer is None:
            CLI.fail(
                "--max-tokens needs --tokenizer DIR|ID, which counts them: name the base model"
            )
        writer = None
        if personas == "generate" and engine and model:
            sampling = sampling_of(persona_max_tokens, temperature, extra)
            writer = engine_of(engine, model, sampling, api_key, max_concurrency)
        options = BuildOptions(
            set_.value if set_ else None, source, from_, rows,
            tuple(name.value for name in filter_ or ()), tuple(decontaminate or ()),
            Columns(question_column, answer_column, thinking_column), skip_bad,
            frozenset(ignore_field or ()), hold_out, tokenizer, max_tokens,
            None if personas in {"bank", "generate"} else Path(personas), writer,
        )  # fmt: skip
        how = contexts_of(strategy, placement, seed, strategy_option, mix, notes, bank)
        if system is None and set_ is not None:
            system = PUBLIC[set_.value].system
        how = with_texts(how, system, instruction, instruction_placement)
        complete = built(options, how, out)
    raise typer.Exit(0 if complete else 1)


def compose(
    file: Rows,
    strategy: How,
    placement: Where = PlacementOption.before,
    system: System = None,
    instruction: Instruction = None,
    instruction_placement: InstructionWhere = PlacementOption.after,
    seed: Seed = 0,
    strategy_option: StrategyOption = None,
    mix: Mix = None,
    notes: Notes = None,
    bank: Bank = None,
    personas: Annotated[
        Path | None, typer.Option(help="What `its-sft personas` wrote for FILE; else the bank.")
    ] = None,
) -> None:
    """Print FILE's rows with the `messages` that training would see, one JSON object a line.

    The prompt is composed by the code that composes it in the proxy.
    """
    import json

    from ..data.compose import compose as composed
    from ..rows import read
    from ..writing.journal import PersonaFile

    with CLI.one_line_errors(*ERRORS):
        how = contexts_of(strategy, placement, seed, strategy_option, mix, notes, bank)
        how = with_texts(how, system, instruction, instruction_placement)
        written = PersonaFile(personas) if personas else None
        for row in composed(read(file), how, written):
            print(json.dumps(row, ensure_ascii=False))


def personas(
    file: Rows,
    strategy: How,
    engine: Annotated[
        str, typer.Option(metavar="URL", help="An OpenAI-compatible server, up to /v1.")
    ],
    model: Annotated[str, typer.Option(help="Who writes: the server's name for it.")],
    out: Annotated[Path, typer.Option(help="The personas, in the order of FILE's rows.")],
    seed: Seed = 0,
    strategy_option: StrategyOption = None,
    mix: Mix = None,
    max_tokens: MaxTokens = 120,
    temperature: Temperature = 0.8,
    extra: Extra = "{}",
    api_key: ApiKey = None,
    max_concurrency: MaxConcurrency = 256,
) -> None:
    """Have a model write the persona of every row of FILE.

    Stopped or killed, the same command goes on where it was: nothing that was paid for is lost.
    A text that breaks the rules is asked for again, twice; then our own bank serves.
    """
    import asyncio

    from ..writing.personas import WritingJob
    from ..writing.write import write_all

    with CLI.one_line_errors(*ERRORS):
        how = contexts_of(strategy, PlacementOption.before, seed, strategy_option, mix)
        sampling = sampling_of(max_tokens, temperature, extra)
        writer = engine_of(engine, model, sampling, api_key, max_concurrency)
        job = WritingJob(how.strategy, how.seed, how.shelf, writer, how.options)
        complete = asyncio.run(write_all(job, file, out))
    raise typer.Exit(0 if complete else 1)


def parity(
    data: Annotated[Path, typer.Option(help="Rows that `its-sft build` or `compose` made.")],
    tokenizer: Annotated[
        str, typer.Option(metavar="DIR|ID", help="The tokenizer that training used.")
    ],
    proxy: Annotated[str, typer.Option(metavar="URL", help="The proxy, up to /v1.")],
    model: Annotated[str, typer.Option(help="The member that serves the checkpoint.")],
    rows: Annotated[int, typer.Option(min=0, help="Rows to check, drawn by --seed; 0: all.")] = 20,
    seed: Annotated[int, typer.Option(help="Draws the rows.")] = 0,
    api_key: ApiKey = None,
) -> None:
    """Prove that serving shows the model the very tokens that training showed it.

    For each row, the chat that training saw is tokenized here; the same question and persona go to
    the proxy, which composes them and has its engine tokenize. The first difference is shown.
    """
    from ..checkpoints.parity import compare_all

    with CLI.one_line_errors(*ERRORS):
        url, key = CLI.url("--proxy", proxy), CLI.secret("--api-key", api_key)
        same = compare_all(data, tokenizer, url, model, rows, seed, key)
    raise typer.Exit(0 if same else 1)
