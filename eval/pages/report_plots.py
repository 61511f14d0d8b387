"""Which plots the report page has: for each task, from the figures of its columns."""

from collections.abc import Sequence

from ..figures.figures import BUDGETS
from ..figures.scaling import solved_within
from . import charts
from .charts import Plot, Series
from .columns import ReportColumn
from .plots import COLOURS


def plots_of(columns: Sequence[ReportColumn]) -> list[Plot]:
    """Return the plots of one task's columns; runs' own models first where there are many."""
    ranked = sorted(columns, key=lambda column: not column.own)
    shown, left = ranked[: len(COLOURS)], len(ranked) - len(COLOURS)
    note = f"{left} more are in the table only." if left > 0 else ""
    drawn = [_cost(shown), _samples(shown, note), _budgets(shown, note), _lengths(columns)]
    return [plot for plot in drawn if plot is not None]


def _cost(columns: Sequence[ReportColumn]) -> Plot | None:
    points = []
    for colour, column in enumerate(columns):
        share, tokens = column.figures.pass_at_1, column.figures.tokens.mean
        if tokens is not None:
            series = Series(column.label, (tokens,), (share.value,), colour)
            points.append((series, share.low, share.high))
    if len(points) < 2:
        return None
    return charts.scatter(points, "Solved against tokens", "completion tokens, mean", "pass@1")


def _samples(columns: Sequence[ReportColumn], note: str) -> Plot | None:
    series = []
    for colour, column in enumerate(columns):
        found = column.figures
        for name, ys in (("pass@k", found.pass_at_k), ("maj@k", found.maj_at_k)):
            if len(ys) > 1:
                ks = range(1, len(ys) + 1)
                label = f"{column.label}, {name}"
                series.append(Series(label, ks, ys, colour, dashed=name == "maj@k"))
    if not series:
        return None
    return charts.lines(series, "With more samples", "samples k", "solved", note)


def _budgets(columns: Sequence[ReportColumn], note: str) -> Plot | None:
    series = []
    for colour, column in enumerate(columns):
        within = solved_within(column.outcomes, BUDGETS)
        known = [share for share in within if share is not None]
        if len(known) == len(BUDGETS):
            series.append(Series(column.label, BUDGETS, known, colour))
    if not series:
        return None
    return charts.lines(series, "Solved within a token budget", "completion tokens", "solved", note)


def _lengths(columns: Sequence[ReportColumn]) -> Plot | None:
    """Own samples only: a panel's ballots are in its sums already."""
    own = [outcome for column in columns if column.own for outcome in column.outcomes]
    known = [(correct, tokens) for correct, tokens in own if tokens]
    if not known:
        return None
    groups = {
        "right": [tokens for correct, tokens in known if correct],
        "wrong": [tokens for correct, tokens in known if not correct],
    }
    return charts.histogram(groups, "Length of answers", "completion tokens")
