"""`its-proxy ask`: one question to a proxy that runs, or to one that is started for it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from . import shown
from .client import Asker
from .served import served, terminable


def ask_once(
    question: str, model: str | None, where: str | Path | None, key: str | None,
    fields: Mapping[str, Any],
) -> None:  # fmt: skip
    """Show the answer to `question`; `where` is a base URL, or a configuration to serve.

    Raises:
        AskError: no proxy answers, or it refuses.
        ServeError: the configuration cannot be served.
    """
    text = sys.stdin.read() if question == "-" else question
    console = Console()
    with _base_url(console, where) as base_url, Asker(base_url, key) as client:
        card = client.card(model)
        if model is None:
            console.print(f"asking {card['id']}", style="dim", highlight=False)
        shown.ask(console, client, card, [{"role": "user", "content": text}], fields)


@contextmanager
def _base_url(console: Console, where: str | Path | None) -> Iterator[str]:
    if not isinstance(where, Path):
        yield str(where)
        return
    with TemporaryDirectory() as folder, terminable():
        starting = served(where, 0, Path(folder) / "proxy.log")
        with shown.spinner(console, f"starting a proxy on {where}"):
            base_url = starting.__enter__()
        try:
            yield base_url
        finally:
            starting.__exit__(None, None, None)
