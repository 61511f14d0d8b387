"""How a command line talks to its user: one line for each error, and options that are checked."""

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from math import isfinite
from typing import Any, NoReturn

from .. import secrets, urls
from ..extras import extra_of, install
from ..finite import not_finite
from .volume import is_quiet, is_verbose


def finite(value: float | None) -> float | None:
    """Check a number of the command line, as an option's `callback`; bounds let `nan` through.

    Raises:
        typer.BadParameter: it is `nan` or infinite.
    """
    import typer

    if value is not None and not isfinite(value):
        raise typer.BadParameter("must be a finite number")
    return value


def write_any_text() -> None:
    """Let the standard streams take every text: what a terminal cannot show is escaped.

    Without it an ASCII terminal (`PYTHONIOENCODING=ascii`), or half of a surrogate pair in data or
    in an argument, ends a command with a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a test's is not
            stream.reconfigure(errors="backslashreplace")


BROKEN_PIPE = 141
"""What a shell shows for a program that SIGPIPE ended: the reader of a pipe has left."""

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A program's command line; `name` begins each line that it prints on standard error."""

    name: str

    def say(self, message: str, style: str = "") -> None:
        """Print one line on standard error, unless the user wants it quiet (`-q`)."""
        if not is_quiet():
            self._print(message, style)

    def _print(self, message: str, style: str) -> None:
        """Print one line on standard error, in `style` where that is a terminal."""
        line = f"{self.name}: {message}"
        # Loading rich costs as much as all else that a failing command does; a log has no style.
        if not sys.stderr.isatty():
            print(line, file=sys.stderr)
            return
        from rich.console import Console

        # `soft_wrap`: rich would break the line at the terminal's width. `emoji`: it would turn a
        # `:name:` of the message into a picture.
        Console(stderr=True, soft_wrap=True, emoji=False).print(line, style=style, markup=False)

    def fail(self, message: str, status: int = 2) -> NoReturn:
        """End the command with one line on standard error.

        Raises:
            typer.Exit: always, with `status`.
        """
        import typer

        self._print(message, "red")
        raise typer.Exit(status)

    @contextmanager
    def one_line_errors(
        self,
        *kinds: type[Exception],
        status: int = 2,
        interrupted: str = "interrupted; run the same command again to go on",
    ) -> Iterator[None]:
        """Turn the errors `kinds`, Ctrl-C and a closed pipe into one line and an exit status.

        An error with a `status` of its own ends the command with that one instead.

        Raises:
            typer.Exit: one of them was raised.
        """
        try:
            yield
        except BrokenPipeError:
            # Python would print a second error when it flushes standard output at its exit.
            os._exit(BROKEN_PIPE)
        except KeyboardInterrupt:
            self.fail(interrupted, INTERRUPTED)
        except kinds as error:
            if is_verbose():
                traceback.print_exception(error)
            self.fail(str(error), getattr(error, "status", status))

    @contextmanager
    def missing_extras(self) -> Iterator[None]:
        """Turn the import of an optional package that is not installed into one line.

        Raises:
            typer.Exit: one is missing, with status 2.
        """
        try:
            yield
        except ModuleNotFoundError as error:
            extra = extra_of(error.name or "", self.name.removeprefix("its-"))
            if extra is None:
                raise
            told = f"the package {error.name!r} is not installed; it belongs to the extra `{extra}`"
            self.fail(f"{told}. Run: {install(extra)}")

    def url(
        self,
        option: str,
        url: str,
        example: str = "http://127.0.0.1:8000/v1",
        *,
        secret: bool = False,
    ) -> str:
        """Return the address of a server; end the command if it is none.

        It may have a user name and a password if `secret`; they are printed in no case.
        """
        if fault := urls.fault(url, secret=secret):
            # A password may hold what no URL has, a space as well.
            shown = urls.without_secret(url.replace(" ", "%20")) if "@" in url else url
            shown = urls.without_secret(shown)[:100]
            self.fail(f"{option}: {shown!r} {fault}, as in {example}")
        return url

    def secret(self, option: str, reference: str | None) -> str | None:
        """Return the secret that the option's `env:NAME` or `file:PATH` names."""
        if reference is None:
            return None
        try:
            return secrets.resolve(reference)
        except ValueError as error:
            self.fail(f"{option}: {error}")

    def json_object(self, option: str, text: str) -> dict[str, Any]:
        """Return the JSON object that the option holds."""
        try:
            value = json.loads(text)
        except ValueError as error:
            self.fail(f"{option}: not JSON: {error}")
        if not isinstance(value, dict):
            self.fail(f"{option}: must be a JSON object, as in '{{\"top_p\": 0.9}}'")
        if key := not_finite(value):
            self.fail(f"{option}: {key} must be a finite number, not NaN or Infinity")
        return value
