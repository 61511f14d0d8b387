"""A typer application with what all three commands share: `--version`, `-q`, `-v`, completion.

`-q` and `-v` may stand before or after the command's name. A missing extra ends the command with
one line that has the install command.
"""

import inspect
import re
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from importlib.metadata import version
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

from ..suggest import nearest
from .command_line import CommandLine
from .volume import speaking

P = ParamSpec("P")
R = TypeVar("R")

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Results and errors only: no warnings or progress.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="More details, and the traceback of an error.")
]
_NOT_ONE_OF = re.compile(r"'(.*)' is not one of ((?:'[^']*'(?:, )?)+)\.", re.DOTALL)


def application(cli: CommandLine, help: str) -> "Application":
    """Return the application of `cli`, to which commands are added by `command()`."""
    app = Application(
        cls=_Group, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
        help=help,
    )  # fmt: skip
    app.cli = cli

    def show_version(wanted: bool) -> None:
        if wanted:
            print(f"{cli.name} {version('input-time-scaling')}")
            raise typer.Exit

    shown = typer.Option(
        "--version", help="Print the version.", callback=show_version, is_eager=True
    )

    def root(
        context: typer.Context,
        version: Annotated[bool, shown] = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        stack = ExitStack()
        stack.enter_context(speaking(quiet=quiet, verbose=verbose))
        context.call_on_close(stack.close)

    app.callback()(root)
    return app


class Application(typer.Typer):
    """A typer application whose commands all take `-q` and `-v`."""

    cli: CommandLine

    def command(self, *args: Any, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:  # type: ignore[override]
        """Register a command, as `typer.Typer.command` does."""
        register = super().command(*args, **options)

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            register(_with_volume(self.cli, function))
            return function

        return decorate


def _with_volume(cli: CommandLine, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with two more options, which typer finds in its signature."""

    @wraps(function)
    def spoken(*args: Any, quiet: bool, verbose: bool, **given: Any) -> Any:
        with speaking(quiet=quiet, verbose=verbose), cli.missing_extras():
            return function(*args, **given)

    signature = inspect.signature(function, eval_str=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, kind, default=False, annotation=option)
        for name, option in (("quiet", Quiet), ("verbose", Verbose))
    ]
    # typer passes all parameters by name, so all may be keyword-only: no default has to come last.
    kept = [each.replace(kind=kind) for each in signature.parameters.values()]
    spoken.__signature__ = signature.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
    spoken.__annotations__ = {each.name: each.annotation for each in [*kept, *added]}
    del spoken.__wrapped__  # its hints would hide the two
    return spoken


class _Group(TyperGroup):
    """Names the nearest option or choice where one is misspelt; typer lists them only."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            possible = getattr(error, "possibilities", None)
            message = getattr(error, "message", None)
            if possible:
                error.message = f"{message}. Did you mean {possible[0]}?"  # type: ignore[attr-defined]
                error.possibilities = None  # type: ignore[attr-defined]
            elif isinstance(message, str) and (found := _NOT_ONE_OF.search(message)):
                meant = nearest(found[1], re.findall(r"'([^']*)'", found[2]))
                error.message = message + (f" Did you mean {meant!r}?" if meant else "")  # type: ignore[attr-defined]
            raise
