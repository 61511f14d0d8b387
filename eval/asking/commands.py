"""The command `its-eval run`."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from its.answers import KINDS
from its.cli import CommandLine, Form, finite
from its.suggest import unknown

from ..errors import EvalError
from ..figures.sources import MOST_MIXED
from ..tasks.hub import FILES, NAMES

CLI = CommandLine("its-eval")

if TYPE_CHECKING:
    from ..figures.figures import Prices


def run(
    task: Annotated[str, typer.Argument(help=f"{NAMES} (its-eval tasks); or a {FILES}.")],
    base_url: Annotated[
        str,
        typer.Option(
            help="The server, e.g. http://127.0.0.1:8000/v1; the /v1 is found if it lacks."
            " A password in it is neither printed nor recorded."
        ),
    ],
    model: Annotated[str, typer.Option(help="The model's name there: a member or a panel.")],
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Answers asked for each problem. If absent 8 for at most 60 problems, unless the"
            " temperature is 0; else 1. A run goes on with more of them.",
        ),
    ] = None,
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
        str,
        typer.Option(
            metavar="JSON",
            help='Further fields of each request. One that is null is not sent: {"seed": null}.',
        ),
    ] = "{}",
    concurrency: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 8,
    timeout: Annotated[
        float, typer.Option(min=1, callback=finite, help="Seconds that one call may take.")
    ] = 3600,
    retries: Annotated[
        int,
        typer.Option(
            min=0,
            help="Times a call is repeated whose answer broke off. With 0 nothing is repeated.",
        ),
    ] = 3,
    patience: Annotated[
        float,
        typer.Option(
            min=0, callback=finite, help="Seconds to wait for a server that is away or busy."
        ),
    ] = 300,
    stop_on_error: Annotated[
        bool, typer.Option("--stop-on-error", help="End at the first call that fails for good.")
    ] = False,
    accept_failed: Annotated[
        bool,
        typer.Option(
            "--accept-failed",
            help="Calls that failed for good count as wrong, and are not asked again.",
        ),
    ] = False,
    other_server: Annotated[
        bool,
        typer.Option(
            "--other-server",
            help="Go on with a run at another address, or with another card of the model. Both are"
            " recorded: `parts` in run.json, `part` in each row.",
        ),
    ] = False,
    unlisted: Annotated[
        bool, typer.Option("--unlisted", help="Ask a model that the server does not list.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Only the first N problems of the task. A run goes on with more of them."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Derives each sample's own seed, and fixes the contexts.")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Read the task's problems from this file.")
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
    max_tokens_total: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Start no call once the run used N tokens, in both directions."
        ),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            min=0, callback=finite, help="Start no call once the run cost so much, by --prices."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/TASK-MODEL if absent.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away what the folder holds and start anew.")
    ] = False,
    form: Form = Form.TEXT,
) -> None:
    """Ask MODEL every problem of TASK and print pass@1.

    What is left open is asked as the model's makers recommend, where the proxy lists a manifest or
    the model is a known one. What was asked with is printed, and kept in run.json.

    A run that was interrupted goes on where it stopped when the same command is given again. It is
    refused if the server's address, its card of the model or its weights are others than before:
    see --other-server.
    The key, if the server wants one, is taken from OPENAI_API_KEY.
    """
    from ..tasks.load import load
    from .ask_all import RunSpec, Sampling
    from .ledger import RunLimits
    from .shown import run_and_show

    costs = _prices(prices)
    if max_cost is not None and costs is None:
        raise EvalError("--max-cost needs --prices")
    if answer_kind not in KINDS:
        raise EvalError(f"--answers: {unknown('kind of answers', answer_kind, KINDS)}")
    loaded = load(task, data=data, seed=seed)
    problems = replace(loaded, problems=loaded.problems[:limit])
    spec = RunSpec(
        task=problems,
        base_url=_server(base_url),
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
        patience=patience,
        stop_on_error=stop_on_error,
        fresh=fresh,
        prices=costs,
        limits=RunLimits(max_tokens_total, max_cost, costs),
        max_mixed=max_mixed,
        recommended=True,
        accept_failed=accept_failed,
        other_server=other_server,
        unlisted=unlisted,
    )  # fmt: skip
    run_and_show(spec, CLI, form)


def _server(base_url: str) -> str:
    """Check --base-url; a query would stand before the path of each request."""
    from its.urls import has_query, without_secret

    CLI.url("--base-url", base_url, secret=True)
    if has_query(base_url):
        raise EvalError(f"--base-url: {without_secret(base_url)} must end with its path")
    return base_url


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
