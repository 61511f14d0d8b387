"""What the terminal shows of a matrix."""

from collections.abc import Callable
from typing import Any

from its.cli import Column, Sheet

from ..figures.permutation import GroupTest
from ..pages.numbers import interval, p_value, percent, signed, signed_interval
from .matrix import CellShares, Contrast, contrasts, pooled, within

ENDS = ("low", "high")

UNITS = (
    "`p over checkpoints` permutes checkpoints within training seeds: a claim about training, from"
    " n checkpoints on each side. `p over problems` is about these checkpoints alone: another seed"
    " may give another."
)

INTERACTION = (
    "Interaction: what a context at test time changes for checkpoints trained with contexts (both),"
    " less what it changes for the others (then)"
)


def matrix_tables(found: CellShares, changed: str | None = None) -> list[Sheet]:
    """Return the cells, the contrasts, and what a context changed within each checkpoint.

    `changed` says which cells were made with uncommitted changes.
    """
    made = contrasts(found)
    levels = [each for each in made if each.name != "interaction"]
    changes = [each for each in made if each.name == "interaction"]
    sheets = [_cells(found, [changed] if changed else [])]
    if levels:
        title = "Contexts in both stages, against contexts"
        sheets.append(_contrasts(levels, title, percent, [UNITS]))
    if changes:
        sheets.append(_contrasts(changes, INTERACTION, signed, []))
    if within(found):
        sheets.append(_within(found))
    return sheets


def _cells(found: CellShares, notes: list[str]) -> Sheet:
    columns = [
        Column("trained", text=True), Column("asked", text=True),
        Column("co-designed", lambda yes: "*" if yes else ""), Column("checkpoints"),
        Column("problems"), Column("pass@1", percent), Column("95% interval", interval, parts=ENDS),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    for each in pooled(found):
        share = each.pass_at_1
        rows.append(
            [each.cell.train, each.cell.test, each.cell.co_designed, each.checkpoints,
             each.problems, share.value, (share.low, share.high)]
        )  # fmt: skip
    title = "pass@1; * contexts in both stages or in none"
    return Sheet(title, columns, rows, notes)


def _contrasts(
    made: list[Contrast], title: str, show: Callable[[float], str], notes: list[str]
) -> Sheet:
    columns = [
        Column("against", text=True), Column("both", show), Column("then", show),
        Column("change", signed), Column("95% interval", signed_interval, parts=ENDS),
        Column("p over checkpoints", p_value),
        Column("n", _sizes, parts=("checkpoints, both", "checkpoints, then")),
        Column("p over problems", p_value),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    remarks = []
    for each in made:
        test = each.training
        ends = (test.interval.low, test.interval.high) if test.interval else None
        rows.append(
            [each.name, each.both, each.one, test.difference, ends, test.p,
             (test.treated, test.others), each.here.p]
        )  # fmt: skip
        remarks += [f"{each.name}: {note}" for note in _remarks(test)]
    return Sheet(title, columns, rows, [*notes, *remarks])


def _remarks(test: GroupTest) -> list[str]:
    if test.why:
        return [f"no p over checkpoints: {test.why}"]
    if test.smallest is not None and test.smallest > 0.05:
        return [f"so few checkpoints can give no p below {test.smallest:.3g}"]
    return []


def _sizes(pair: tuple[int, int]) -> str:
    return f"{pair[0]}, {pair[1]}"


def _within(found: CellShares) -> Sheet:
    columns = [
        Column("checkpoint", text=True), Column("trained", text=True),
        Column("with a context", percent), Column("without", percent), Column("change", signed),
        Column("95% interval", signed_interval, parts=ENDS), Column("p over problems", p_value),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    for each in within(found):
        share = each.tested.difference
        rows.append(
            [each.model, each.train, each.context, each.none, share.value, (share.low, share.high),
             each.tested.p]
        )  # fmt: skip
    return Sheet("Within a checkpoint: asked with a context, and without", columns, rows)
