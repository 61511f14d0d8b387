"""The plot of a frontier: accuracy against each cost. Needs matplotlib."""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..pages.plots import COLOURS, MARKS, STYLE
from .frontier import AXES, Axis, Frontier, FrontierRow, cost

NAMES = {"calls": "calls", "tokens": "completion tokens", "seconds": "simulated seconds"}


def draw(found: Frontier, file: Path) -> None:
    """Write the plot as SVG or PNG, as the file's name says.

    Raises:
        OSError: the file cannot be written.
    """
    axes = [axis for axis in AXES if cost(found.best.replayed, axis) is not None]
    rows = [row for row in found.rows if row.replayed.coverage == 1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(0.6 + 4.2 * len(axes), 4.6), layout="constrained")
        drawn = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
        for axis, place in zip(axes, drawn, strict=True):
            _one(place, axis, rows)
            estimated = axis == "tokens" and found.best.replayed.stored.estimated
            place.set_xlabel(f"{NAMES[axis]} per question{', estimated' if estimated else ''}")
        drawn[0].set_ylabel("answered right")
        drawn[0].yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=1))
        handles, labels = drawn[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle(f"{found.problems} problems, intervals of 95% over problems", fontsize=11)
        figure.savefig(file, dpi=110, metadata={"Date": None} if file.suffix == ".svg" else None)


def _one(place: Axes, axis: Axis, rows: list[FrontierRow]) -> None:
    names = list(dict.fromkeys(row.replayed.plan.name for row in rows))
    for number, name in enumerate(names):
        own = [row.replayed for row in rows if row.replayed.plan.name == name]
        values = [each.accuracy for each in own]
        place.errorbar(
            [cost(each, axis) or 0.0 for each in own], [each.value for each in values],
            yerr=[[v.value - v.low for v in values], [v.high - v.value for v in values]],
            fmt=MARKS[number % len(MARKS)], color=COLOURS[number % len(COLOURS)],
            markersize=5, elinewidth=0.6, alpha=0.85, label=name,
        )  # fmt: skip
    leading = [row.replayed for row in rows if axis in row.leads]
    line = sorted((cost(each, axis) or 0.0, each.accuracy.value) for each in leading)
    place.plot(*zip(*line, strict=True), color="#4a4a4a", lw=1, ls="--", zorder=0,
               label="nothing is cheaper and better")  # fmt: skip
    for each in (row.replayed for row in rows if axis in row.cheapest):
        place.plot(
            [cost(each, axis) or 0.0], [each.accuracy.value], "o", markersize=13, ls="",
            markerfacecolor="none", markeredgecolor="black",
            label="cheapest within noise of the best",
        )  # fmt: skip
