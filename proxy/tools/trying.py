"""The commands that try things: a model file, the demo, a question."""

from pathlib import Path
from typing import Annotated

import typer

from its.cli import CommandLine, downloads, finite
from its.extras import installed, needs

from .catalogue import DEFAULT, MODELS

CLI = CommandLine("its-proxy")
EXAMPLE = "http://127.0.0.1:30000/v1"


def model(
    name: Annotated[str, typer.Argument(help=f"{', '.join(MODELS)}, a FILE.gguf, or a hub REPO.")],
) -> None:
    """Download a model file if it is not here, check its hash, and print its path."""
    print(_model_file(name))


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the evaluation.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Start the servers only: ask nothing.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, envvar="ITS_PORT", help="The proxy's port; 8000 if it is free."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help=f"{', '.join(MODELS)}, a FILE.gguf, or a hub REPO.")
    ] = DEFAULT,
) -> None:
    """Start a real model on the CPU, put the proxy in front, ask, vote and evaluate.

    Then it stays up until Ctrl-C, and shows the log of requests.
    """
    if once and serve:
        CLI.fail("give one of --once and --serve")
    if not installed("xllamacpp"):
        CLI.fail(needs("The demo", "demo"))
    file = _model_file(model)
    from .client import AskError
    from .demo import DemoError, run
    from .served import ServeError

    errors = DemoError, ServeError, AskError
    with CLI.one_line_errors(*errors, status=1, interrupted="interrupted"):
        run(file, once=once, tour=not serve, port=port)


def ask(
    question: Annotated[str, typer.Argument(help="The question; - reads standard input.")],
    model: Annotated[
        str | None, typer.Option(help="A member or a panel; the first panel if absent.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="A proxy that runs, up to /v1; else CONFIG is served.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(envvar="ITS_CONFIG", help="Start a proxy on this configuration.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="env:NAME|file:PATH", help="Where the key stands.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, callback=finite, help="As the engine's, if absent.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
) -> None:
    """Ask one question; show the answer as it comes, and of a panel members, tally and winner.

    Without --base-url and --config it asks http://127.0.0.1:8000/v1 (or the port ITS_PORT).
    """
    import os

    from ..config.checks import ConfigError
    from ..config.load import load
    from .ask import ask_once
    from .client import AskError
    from .served import ServeError

    if base_url is None and config is None:
        base_url = f"http://127.0.0.1:{os.environ.get('ITS_PORT') or 8000}/v1"
    if base_url is not None:
        base_url = CLI.url("--base-url", base_url)
    elif config is not None:
        with CLI.one_line_errors(ConfigError):
            load(config)
    key = CLI.secret("--api-key", api_key)
    wanted = {"temperature": temperature, "max_tokens": max_tokens}
    fields = {name: value for name, value in wanted.items() if value is not None}
    with CLI.one_line_errors(AskError, ServeError, status=1, interrupted="interrupted"):
        ask_once(question, model, base_url or config, key, fields)


def _model_file(name: str) -> Path:
    from . import models

    kept = "interrupted; what has come so far is kept"
    with (
        CLI.one_line_errors(models.ModelError, status=1, interrupted=kept),
        downloads() as progress,
    ):
        return models.find(name, progress)
