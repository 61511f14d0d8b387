"""In which form a command prints its figures: one group of options for all commands."""

import inspect
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any, get_type_hints

from .sheets import Sheet


class Form(StrEnum):
    """What `--json`, `--csv`, `--markdown` and `--latex` ask for; `TEXT` without any of them."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


_HELP = {
    Form.JSON: "Print the figures as JSON, a line each.",
    Form.CSV: "Print the tables as CSV, figures unrounded.",
    Form.MARKDOWN: "Print the tables as Markdown.",
    Form.LATEX: "Print the tables as LaTeX (booktabs).",
}


def in_forms(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the four options; it gets what was chosen as its parameter `form`."""
    import typer

    kind = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(command, include_extras=True)
    own = [each for each in inspect.signature(command).parameters.values() if each.name != "form"]
    more = {
        f"as_{form}": Annotated[
            bool, typer.Option(f"--{form}", help=text, rich_help_panel="Form of the output")
        ]
        for form, text in _HELP.items()
    }

    @wraps(command)
    def wrapped(*args: Any, **given: Any) -> None:
        chosen = [form for form in _HELP if given.pop(f"as_{form}", False)]
        if len(chosen) > 1:
            raise typer.BadParameter(" and ".join(f"--{form}" for form in chosen) + ": choose one")
        command(*args, **given, form=chosen[0] if chosen else Form.TEXT)

    added = [inspect.Parameter(name, kind, default=False, annotation=hint)
             for name, hint in more.items()]  # fmt: skip
    parameters = [each.replace(kind=kind, annotation=hints[each.name]) for each in own]
    vars(wrapped)["__signature__"] = inspect.Signature([*parameters, *added])
    wrapped.__annotations__ = {each.name: each.annotation for each in [*parameters, *added]}
    return wrapped


def show(form: Form, sheets: Sequence[Sheet], objects: Iterable[Any]) -> None:
    """Print tables in a form; as JSON, each of `objects` on a line."""
    if form is Form.JSON:
        for each in objects:
            print(json.dumps(each))
        return
    if form is Form.TEXT:
        from rich.console import Console

        console = Console(highlight=False)
        for number, sheet in enumerate(sheets):
            if number:
                console.print()
            console.print(sheet)
        return
    written = {Form.CSV: Sheet.csv, Form.MARKDOWN: Sheet.markdown, Form.LATEX: Sheet.latex}[form]
    print("\n".join(map(written, sheets)), end="")
    if form is Form.CSV:  # a table alone: what stands below others goes where it harms none
        for note in (note for sheet in sheets for note in sheet.notes):
            print(note, file=sys.stderr)
