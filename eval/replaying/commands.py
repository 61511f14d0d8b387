"""The commands `its-eval replay`, `frontier` and `search`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from its.cli import Form, note_console, show
from its.extras import needs

from ..errors import EvalError

if TYPE_CHECKING:
    from .frontier import Frontier
    from .stored import StoredProblem

Places = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN|FILE...",
        help="Folders of `its-eval run`, or JSONL files of rows {problem_id, model, text, gold}.",
    ),
]
Members = Annotated[
    list[str] | None,
    typer.Option("--member", help="Only this member, and problems that it answered. Repeatable."),
]
Orders = Annotated[
    int, typer.Option("--orders", min=1, help="Orders of each problem's stored answers.")
]
Seed = Annotated[int, typer.Option(help="Draws the orders.")]
Fewest = Annotated[
    int, typer.Option(min=1, help="Without --member: leave out problems with fewer answers.")
]


def replay(
    places: Places,
    method: Annotated[str, typer.Option(help="How the answers become one.")] = "majority",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the method. Repeatable."),
    ] = None,
    member: Members = None,
    samples: Annotated[
        int | None,
        typer.Option(min=1, help="Answers of each --member; without any, of whoever answered."),
    ] = None,
    orders: Orders = 200,
    seed: Seed = 0,
    fewest: Fewest = 3,
    form: Form = Form.TEXT,
) -> None:
    """Replay a method on answers that are stored: what would it have answered, at what cost?

    Figures are means over seeded orders of each problem's answers. Methods whose calls need new
    text, such as a judge's, are refused.
    """
    from its.methods.options import OptionError, pairs

    from .plan import plan
    from .replay import beside, notes, replay
    from .tables import beside_table, heading, replay_table

    members = _once(member)
    try:
        raw = pairs(option or [])
    except OptionError as error:
        raise EvalError(f"--option: {error}") from error
    at = plan(method, raw, members, samples)
    with _stored(places) as problems:
        found = replay(problems, at, number=orders, seed=seed, fewest=fewest)
        rows = beside(found, problems)
    told = notes(found, problems)
    alone = {row.member: [row.problems, row.alone, row.method] for row in rows}
    tables = [replace(replay_table(found), title=heading(found))]
    if len(rows) > 1:
        tables.append(beside_table(rows, at.name))
    show(form, tables, [{**found.as_json(), "beside": alone, "notes": told}])
    if form is not Form.JSON:
        _tell(told)


def frontier(
    places: Places,
    member: Members = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw accuracy against cost: .svg or .png.")
    ] = None,
    orders: Orders = 50,
    seed: Seed = 0,
    fewest: Fewest = 3,
    form: Form = Form.TEXT,
) -> None:
    """Compare all methods and options that the stored answers allow: accuracy against cost.

    The cheapest whose difference to the best is within noise is marked.
    """
    from .candidates import only
    from .frontier import frontier
    from .replay import notes
    from .tables import frontier_table

    if plot is not None and plot.suffix not in (".svg", ".png"):
        raise EvalError(f"--plot: {plot}: name a file that ends in .svg or .png")
    members = _once(member)
    with _stored(places) as problems:
        kept = only(problems, members) if members else problems
        found = frontier(kept, number=orders, seed=seed, fewest=fewest)
    if plot is not None:
        _draw(found, plot)
    told = dict.fromkeys(note for row in found.rows for note in notes(row.replayed, kept))
    show(form, [frontier_table(found)], [{**found.as_json(), "notes": list(told)}])
    if form is not Form.JSON:
        _tell(list(told))


def search(
    places: Places,
    budget: Annotated[
        str,
        typer.Option(metavar="calls=N|tokens=N", help="What a question may cost on average."),
    ],
    member: Members = None,
    name: Annotated[str, typer.Option(help="The panel's name in the block.")] = "found",
    splits: Annotated[int, typer.Option(min=1, help="Divisions of the problems in halves.")] = 100,
    orders: Orders = 50,
    seed: Seed = 0,
    form: Form = Form.TEXT,
) -> None:
    """Choose method, members and options within a budget, and print the panel's configuration.

    The choice is made on one half of the problems and measured on the other, many times over: this
    figure is what to expect, as the best of many looks better than it is.
    """
    from . import search as searching
    from .candidates import only
    from .replay import notes
    from .tables import search_table

    limit = searching.budget(budget)
    members = _once(member)
    with _stored(places) as problems:
        kept = only(problems, members) if members else problems
        found = searching.search(kept, limit, number=orders, seed=seed, splits=splits)
    block = searching.block(found.chosen.plan, name)
    told = notes(found.chosen, kept)
    show(form, [search_table(found)], [{**found.as_json(), "toml": block, "notes": told}])
    if form is not Form.JSON:
        _tell(told)
    if form is Form.TEXT:
        print(block, end="")


def _once(members: Sequence[str] | None) -> tuple[str, ...]:
    for name in members or ():
        if (members or []).count(name) > 1:
            raise EvalError(f"--member {name}: listed twice. To ask it more often, use --samples.")
    return tuple(members or ())


@contextmanager
def _stored(places: Sequence[Path]) -> Iterator[list["StoredProblem"]]:
    """Read stored answers; their graders work as long as the context lasts."""
    from its.answers.algebra.workers import Workers

    from .stored import read_stored

    with Workers() as graders:
        yield read_stored(places, graders)


def _draw(found: "Frontier", file: Path) -> None:
    try:
        from .plot import draw
    except ImportError as error:
        message = f"{needs('--plot', 'eval')} ({error})"
        raise EvalError(message) from error
    try:
        draw(found, file)
    except OSError as error:
        raise EvalError(f"cannot write {file}: {error.strerror}", 1) from error


def _tell(notes: Sequence[str]) -> None:

    for note in notes:
        note_console().print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
