"""How much a command says: `-q` leaves out warnings and progress, `-v` adds details."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_VOLUME: ContextVar[int] = ContextVar("volume", default=0)


@contextmanager
def speaking(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Set the volume for a block; without both it stays as it is."""
    token = _VOLUME.set(-1 if quiet else 1 if verbose else _VOLUME.get())
    try:
        yield
    finally:
        _VOLUME.reset(token)


def is_quiet() -> bool:
    """Whether warnings, notes and progress bars are left out."""
    return _VOLUME.get() < 0


def is_verbose() -> bool:
    """Whether details are wanted, such as the traceback of an error."""
    return _VOLUME.get() > 0


def note_console() -> "Console":
    """Return the console for notes beside a command's result: standard error, silent under `-q`."""
    from rich.console import Console

    return Console(stderr=True, quiet=is_quiet())
