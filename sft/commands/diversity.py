"""`its-sft diversity`: how much contexts vary, and how much they have to do with the questions."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from its import strategies
from its.suggest import unknown

from ..cli import CLI
from ..rows import MEMBER, read
from .options import ERRORS, Bank, Notes, Seed, StrategyOption, contexts_of, known, options_of

if TYPE_CHECKING:
    from its.diversity import EvenDrawTest, Line, Variety

Named = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        callback=lambda names: [known(name) for name in names or ()],
        help="Measure it; give it again for more. Else similar, unsimilar and random.",
    ),
]
MEASURED = ("similar", "unsimilar", "random")


def diversity(
    file: Annotated[Path, typer.Argument(help="JSONL rows with a `problem` or a `question`.")],
    strategy: Named = None,
    written: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Measure the personas in it too, as `its-sft personas` writes them.",
        ),
    ] = None,
    strategy_option: StrategyOption = None,
    notes: Notes = None,
    bank: Bank = None,
    seed: Seed = 0,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Of FILE, only so many, the first ones.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show how much the contexts of FILE's questions vary, strategy by strategy.

    `effective` is the inverse Simpson index: so many contexts, used equally often, would vary as
    much. `rank` is the share of the bank that fits the question worse than the persona that it got
    (50% by chance), `words` the mean number of words that both have. `even` draws evenly from the
    personas that live on numbers, and is compared with `similar`, paired by question.
    """
    from its.diversity import EVEN, Measured
    from its.personas import bank as bank_

    with CLI.one_line_errors(*ERRORS):
        names = strategy or list(MEASURED)
        questions = [row.question for row, _ in zip(read(file), range(rows or 10**9), strict=False)]
        if not questions:
            CLI.fail(f"{file}: has no rows")
        lines: list[Line] = []
        shelf = strategies.Shelf(bank_.read(bank) if bank else bank_.load())
        measured = Measured(questions, shelf, seed, MEMBER)
        options = shared_out(names, strategy_option or ())
        if notes is not None and not any(strategies.get(name).needs for name in names):
            CLI.fail(f"--notes: none of {', '.join(names)} retrieves anything")
        for name in names:
            shown = notes if strategies.get(name).needs else None
            how = contexts_of(name, seed=seed, options=options[name], notes=shown, personas=bank)
            lines.append(Measured(questions, how.shelf, seed, MEMBER).line(name, how.options))
        paired = None
        if "similar" in names:
            lines.append(measured.line(EVEN))
            paired = measured.paired()
        files = {str(path): _written(path) for path in written or ()}
        if as_json:
            print(json.dumps(_plain(lines, paired, files), indent=2))
        else:
            _show(lines, paired, files)


def shared_out(names: Sequence[str], pairs: Sequence[str]) -> dict[str, list[str]]:
    """Return for each strategy the KEY=VALUE pairs whose option it has.

    Ends the command if no strategy of `names` has an option.
    """
    has = {name: strategies.get(name).keys for name in names}
    every = list(dict.fromkeys(key for keys in has.values() for key in keys))
    for key in options_of(pairs):
        if key not in every:
            whose = "the strategy" if len(names) == 1 else "the strategies"
            CLI.fail(unknown("option", key, every, f"{whose} {', '.join(map(repr, names))}"))
    return {name: [pair for pair in pairs if pair.partition("=")[0] in has[name]] for name in names}


def _written(path: Path) -> "tuple[Variety, Variety]":
    """Return how much the personas of a file vary, and the same with near-duplicates as one."""
    from its.diversity import Variety, without_twins

    texts = [json.loads(line)["persona"] for line in path.read_text("utf-8").splitlines() if line]
    return Variety.of(texts), Variety.of(without_twins(texts))


def _plain(
    lines: "Sequence[Line]",
    paired: "EvenDrawTest | None",
    files: "dict[str, tuple[Variety, Variety]]",
) -> dict[str, Any]:
    return {
        "strategies": {line.strategy: _fields(line) for line in lines},
        "similar_less_even": asdict(paired) if paired else None,
        "written": {
            name: {**asdict(variety), "without_near_duplicates": asdict(bare)}
            for name, (variety, bare) in files.items()
        },
    }


def _fields(line: "Line") -> dict[str, Any]:
    means = {"quantitative": line.quantitative, "rank": line.rank, "shared": line.shared}
    known_means = {name: None if isnan(mean) else mean for name, mean in means.items()}
    return {**asdict(line.variety), **known_means}


def _show(
    lines: "Sequence[Line]",
    paired: "EvenDrawTest | None",
    files: "dict[str, tuple[Variety, Variety]]",
) -> None:
    console = Console(soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("contexts")
    for head in (
        "rows", "distinct", "effective", "largest", "on numbers", "rank", "words"
    ):  # fmt: skip
        table.add_column(head, justify="right")
    for line in lines:
        table.add_row(
            line.strategy, *_cells(line.variety),
            _share(line.quantitative), _share(line.rank), f"{line.shared:.2f}",
        )  # fmt: skip
    for name, (variety, bare) in files.items():
        table.add_row(name, *_cells(variety))
        table.add_row("  near-duplicates as one", *_cells(bare))
    console.print(table)
    if paired:
        console.print(
            f"similar shares {paired.mean:+.3f} words more with its question than an even draw"
            f" (paired over {paired.questions:,} questions, one-sided p = {paired.p:.4f})"
        )


def _cells(variety: "Variety") -> tuple[str, ...]:
    return (
        f"{variety.rows:,}", f"{variety.distinct:,}", f"{variety.effective:,.1f}",
        f"{variety.largest:.1%}",
    )  # fmt: skip


def _share(mean: float) -> str:
    return "-" if isnan(mean) else f"{mean:.0%}"
