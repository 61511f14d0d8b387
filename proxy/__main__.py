"""`its-proxy`: serve panels and members, check a configuration, fetch a model, show it all.

Imports that cost time stand in the commands that need them: `--help` loads nothing of the server,
and a test holds that.
"""

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from its.cli import Form, in_forms, is_quiet, is_verbose, show
from its.cli.application import application

from .tools import trying
from .tools.trying import CLI, EXAMPLE

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from .config.settings import Settings
    from .tools.tries import Tried


app = application(CLI, "An OpenAI-compatible proxy that asks a checkpoint the way it was trained.")

ConfigPath = Annotated[
    Path, typer.Option(envvar="ITS_CONFIG", help="The configuration, a TOML file.")
]


@app.command()
def serve(
    config: ConfigPath,
    host: Annotated[str | None, typer.Option(help="Overrides server.host.")] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, envvar="ITS_PORT", help="Overrides server.port; 0 takes any."
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Without any key: serve beyond loopback, under any name."),
    ] = False,
) -> None:
    """Serve the members and panels of CONFIG until interrupted.

    SIGHUP reads CONFIG again: running requests finish on the old one, and a bad file changes
    nothing. SIGTERM stops accepting connections, lets requests finish (server.drain_seconds), and
    ends.
    """
    hung_up: list[int] = []
    # Until the server listens for it, SIGHUP would end the process; the imports take a second.
    signal.signal(signal.SIGHUP, lambda number, _: hung_up.append(number))
    from .config.checks import ConfigError
    from .serving import server
    from .telemetry import tracing

    settings = _load(config)
    _warn(settings)
    if is_quiet() or is_verbose():
        level: Literal["debug", "warning"] = "warning" if is_quiet() else "debug"
        settings = replace(settings, log=replace(settings.log, level=level))
    host = host or settings.host
    listener = _listen(host, settings.port if port is None else port)
    shown = f"[{host}]" if ":" in host else host
    announcement = f"serving on http://{shown}:{listener.getsockname()[1]}/v1"
    with CLI.one_line_errors(ConfigError, tracing.TracingError):
        tracing.check()
        started = server.run(config, settings, listener, announcement, hung_up, insecure=insecure)
    if not started:
        raise typer.Exit(1)


@app.command()
@in_forms
def check(
    config: ConfigPath,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how each member was trained and is asked.")
    ] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Try every engine, model name, and need of a method.")
    ] = False,
    form: Form = Form.TEXT,
) -> None:
    """Read CONFIG, hold every member to how it was trained, and say what is served.

    With --ask it ends with 1 if an engine does not answer, does not know a model's name, or lacks
    what a panel's method needs of it.
    """
    if explain and form is Form.TEXT:
        _explain(config)
    settings = _load(config)
    _warn(settings)
    _check_store(config, settings)
    if form is not Form.TEXT:
        from .tools import explain as told

        show(form, [told.table(settings), told.panels(settings)], [told.as_json(settings)])
        if ask:
            _ask(settings, quiet=True)
        return
    for member in settings.members.values():
        verdict = member.co_design(member.strategy, member.layout).value
        print(f"member {member.name}: asked with {member.strategy}, co-design {verdict}")
    for panel in settings.panels.values():
        members = ", ".join(panel.members)
        print(f"panel {panel.name}: {panel.method} of {members}, at most {panel.most_calls} calls")
    if ask:
        _ask(settings)
    print(f"{config} is good")


@app.command()
def init(
    checkpoints: Annotated[
        list[Path] | None, typer.Argument(help="Folders of checkpoints with their input_time.json.")
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="An engine that runs; for CHECKPOINTS: where they will."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The configuration.")] = Path(
        "panels.toml"
    ),
) -> None:
    """Write a commented configuration, from engines that run or from checkpoints' folders.

    An engine is asked for its models and, if it is SGLang on this machine, for their manifests.
    """
    from .tools import init as writer

    urls = [CLI.url("--engine", url, EXAMPLE) for url in engine or [writer.DEFAULT_ENGINE]]
    try:
        with CLI.one_line_errors(writer.InitError, status=1):
            if checkpoints:
                found = [writer.look_at(folder, urls[0]) for folder in checkpoints]
            else:
                found = [each for url in urls for each in writer.ask_engine(url)]
            with out.open("x", encoding="utf-8") as file:
                file.write(writer.render(found))
    except FileExistsError:
        CLI.fail(f"{out} exists; name another with --out, or delete it", 1)
    except OSError as error:
        CLI.fail(f"cannot write {out}: {error.strerror}", 1)
    check(out)


@app.command()
def conformance(
    base_url: Annotated[str, typer.Option(help="The engine, up to /v1.")],
    model: Annotated[str, typer.Option(help="Its name for the model.")],
    api_key: Annotated[
        str | None,
        typer.Option(metavar="env:NAME|file:PATH", help="Where the engine's key stands."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line a check.")] = False,
) -> None:
    """Ask an engine for everything that the proxy relies on; end with 1 if it lacks what it must.

    Any OpenAI-compatible server will do, the proxy itself too.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.markup import escape

    from .tools.conformance import run

    lacks = False
    for result in run(
        CLI.url("--base-url", base_url, EXAMPLE), model, CLI.secret("--api-key", api_key)
    ):
        lacks = lacks or (result.required and not result.passed)
        if as_json:
            print(json.dumps(asdict(result)), flush=True)
            continue
        mark = "[green]yes[/]" if result.passed else "[red]NO [/]" if result.required else "no "
        kind = "required" if result.required else "optional"
        told = f"{mark} {result.name:<14} {kind}  {result.seconds:5.1f} s  {escape(result.remark)}"
        Console(soft_wrap=True, highlight=False).print(told)
    raise typer.Exit(1 if lacks else 0)


def _ask(settings: "Settings", *, quiet: bool = False) -> None:
    """Print what the engines have; if `quiet`, on standard error."""
    from .tools.effects import ask
    from .tools.tries import try_all

    out = sys.stderr if quiet else sys.stdout
    tried = list(_told(try_all(settings), out))
    effects = ask(settings)
    for effect in effects:
        about = f"panel {effect.panel}: {effect.need} of member {effect.member}"
        told = f"{about}: {'NO, ' + effect.fault if effect.fault else 'yes ' + effect.told}"
        print(told, file=out)
    if any(each.fault for each in tried):
        CLI.fail("An engine or a model name does not answer. Correct it, and check again.", 1)
    if any(effect.fault for effect in effects):
        CLI.fail("An engine lacks what a method needs. Name other members, or another method.", 1)


def _told(tried: "Iterable[Tried]", out: "TextIO") -> "Iterator[Tried]":
    for each in tried:
        model = f", model {each.model!r}" if each.model else ""
        by = f" ({', '.join(each.askers)})" if each.askers else ""
        found = f"NO, {each.fault}" if each.fault else f"yes, {each.told}"
        print(f"engine {each.engine}{model}{by}: {found}", file=out, flush=True)
        yield each


def _explain(config: Path) -> None:
    from rich.console import Console

    from .tools import explain

    console = Console(soft_wrap=True)
    settings = _load(config, refuse_mismatch=False)
    console.print(explain.table(settings))
    for member in settings.members.values():
        for what, text in explain.added(member):
            console.print(f"{member.name}: adds {what}: {text}", markup=False, highlight=False)
    console.print(explain.RULE, style="dim")


def _load(config: Path, *, refuse_mismatch: bool = True) -> "Settings":
    from .config.checks import ConfigError
    from .config.load import load

    with CLI.one_line_errors(ConfigError):
        return load(config, refuse_mismatch=refuse_mismatch)


def _check_store(config: Path, settings: "Settings") -> None:
    """Open the persona store; end the command if it cannot be used."""
    if settings.personas.store is None:
        return
    import asyncio

    from .contexts.store import store_fault

    if fault := asyncio.run(store_fault(settings.personas.store)):
        CLI.fail(f"{config}: personas.store: {fault}", 1)


def _warn(settings: "Settings") -> None:
    from .config.notices import notices

    for told in notices(settings):
        CLI.say(f"Warning: {told}")


def _listen(host: str, port: int) -> "socket.socket":
    """Bind here, so that a port in use is one clear line and port 0 is known when it is printed."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        CLI.fail(f"cannot listen on {host} port {port}: {error.strerror}", 1)
    return listener


for command in (trying.model, trying.demo, trying.ask):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
