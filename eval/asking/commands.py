"""The command `its-eval run`."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from its.answers import KINDS
from its.cli import CommandLine, finite, note_console
from its.suggest import unknown

from ..errors import EvalError
from ..figures.sources import MOST_MIXED, sources_of, told
from ..tasks.hub import NAMES

CLI = CommandLine("its-eval")

MOST_SHOWN = 500
"""Characters of a failed call's reason that are printed; the run's folder has all of it."""

if TYPE_CHECKING:
    from ..figures.figures import Prices


def run(
    task: Annotated[
        str, typer.Argument(help=f"{NAMES}, or a FILE.jsonl of {{id, problem, answer}}.")
    ],
    base_url: Annotated[str, typer.Option(help="The server, e.g. http://127.0.0.1:8000/v1.")],
    model: Annotated[str, typer.Option(help="The model's name there: a member or a panel.")],
    samples: Annotated[int, typer.Option(min=1, help="Answers asked for each problem.")] = 1,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, callback=finite, help="As recommended, else 0: the likeliest token."),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(min=0, max=1, callback=finite, help="Nucleus sampling; as recommended."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Longest answer; as recommended, else the server's own limit."),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Stands after each question, in place of what a checkpoint was trained with; ''"
            " for none. Else the task's own, and none for a checkpoint with a manifest: the proxy"
            " adds what it was trained with.",
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Overrides how the proxy chooses contexts.")
    ] = None,
    persona_per_sample: Annotated[
        bool, typer.Option("--persona-per-sample", help="A context for each sample, not problem.")
    ] = False,
    answer_kind: Annotated[
        str,
        typer.Option("--answers", help=f"The kind of the answers: {', '.join(KINDS)}."),
    ] = "auto",
    thinking: Annotated[
        bool | None,
        typer.Option(
            "--thinking/--no-thinking",
            help="The chat template opens <think> itself; if absent, what the server says.",
        ),
    ] = None,
    logprobs: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=20,
            metavar="N",
            help="Store log-probabilities of each answer, by the N likeliest tokens too if N > 0.",
        ),
    ] = None,
    extra_body: Annotated[
        str, typer.Option(metavar="JSON", help="Further fields of each request.")
    ] = "{}",
    concurrency: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 8,
    timeout: Annotated[
        float, typer.Option(min=1, callback=finite, help="Seconds that one call may take.")
    ] = 3600,
    retries: Annotated[
        int, typer.Option(min=0, help="Times a call is repeated that met a busy or broken server.")
    ] = 3,
    stop_on_error: Annotated[
        bool, typer.Option("--stop-on-error", help="End at the first call that fails for good.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N problems of the task.")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Derives each sample's own seed, and fixes the contexts.")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Read the task's problems from this JSONL file.")
    ] = None,
    max_mixed: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="Share of contexts that may be from another source (bank, model) than most.",
        ),
    ] = MOST_MIXED,
    prices: Annotated[
        str | None,
        typer.Option(metavar="IN,OUT", help="What a million tokens cost, prompt and completion."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/TASK-MODEL if absent.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away what the folder holds and start anew.")
    ] = False,
) -> None:
    """Ask MODEL every problem of TASK and print pass@1.

    What is left open is asked as the makers of a checkpoint recommend, where the proxy lists its
    manifest. What was asked with is printed, and kept in run.json.

    A run that was interrupted goes on where it stopped when the same command is given again.
    The key, if the server wants one, is taken from OPENAI_API_KEY.
    """
    from rich.console import Console

    from ..pages.tables import scores_table
    from ..tasks.load import load
    from .ask_all import RunSpec, Sampling
    from .measure import measure

    if answer_kind not in KINDS:
        raise EvalError(f"--answers: {unknown('kind of answers', answer_kind, KINDS)}")
    loaded = load(task, data=data, seed=seed)
    problems = replace(loaded, problems=loaded.problems[:limit])
    spec = RunSpec(
        task=problems,
        base_url=CLI.url("--base-url", base_url),
        sampling=Sampling(
            model=model, samples=samples, temperature=temperature, top_p=top_p,
            max_tokens=max_tokens, seed=seed, system=system, strategy=strategy,
            persona_per_sample=persona_per_sample, answers=answer_kind, thinking=thinking,
            instruction=instruction, logprobs=logprobs,
            extra=CLI.json_object("--extra-body", extra_body),
        ),
        folder=out or Path("runs") / f"{problems.name}-{model.replace('/', '_')}",
        concurrency=concurrency,
        timeout=timeout,
        retries=retries,
        stop_on_error=stop_on_error,
        fresh=fresh,
        prices=_prices(prices),
        max_mixed=max_mixed,
        recommended=True,
    )  # fmt: skip
    folder, found = measure(spec)
    Console().print(scores_table(found, f"{problems.name}, {model}"))
    answered = folder.samples().values()
    for name, shares in sources_of(answered).items():
        Console().print(f"contexts of {name}: {told(shares)}", markup=False, soft_wrap=True)
    if logprobs is not None and not any(sample.logprobs for sample in answered):
        missing = f"No log-probabilities came: the server ignores `logprobs` for {model}."
        note_console().print(missing, style="yellow", markup=False)
    if failed := folder.failed():
        reason = next(sample.error for sample in answered if sample.error)[:MOST_SHOWN]
        raise EvalError(f"{failed} calls failed; the same command asks them again. {reason}", 1)


def _prices(text: str | None) -> "Prices | None":
    from ..figures.figures import Prices

    if text is None:
        return None
    try:
        prompt, completion = map(float, text.split(","))
    except ValueError as error:
        raise EvalError(f"--prices: {text!r} is not two numbers, as in 0.5,1.5") from error
    if not math.isfinite(prompt + completion):
        raise EvalError(f"--prices: {text!r} must be finite numbers")
    return Prices(prompt, completion)
