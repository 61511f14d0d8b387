"""Plots of the report page: SVG without ids, styles or fonts of its own, in the page's colours."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from .plots import COLOURS, MARKS, STYLE

matplotlib.use("svg")
GLYPHS = "●■◆▲▼✚✖★"
"""What `MARKS` look like in a legend."""

INK, GRID = "#010203", "#040506"
"""Stand for the page's own colours, which depend on light and dark."""

SIZE = (4.7, 3.1)
"""Inches. In a column of a wide page and on a phone the letters have about their size in print."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, its y over `xs`, the number of its colour, and whether it is dashed."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int
    dashed: bool = False

    @property
    def glyph(self) -> str:
        return GLYPHS[self.colour % len(GLYPHS)]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot as SVG, the names of its lines, and what has to be said about it."""

    title: str
    svg: str
    series: Sequence[Series]
    note: str = ""


def lines(series: Sequence[Series], title: str, x: str, y: str, note: str = "") -> Plot:
    """Return lines over a logarithmic x, shares as per cent."""
    with _axes(title, x, y) as (figure, axes):
        ticks = sorted({value for each in series for value in each.xs if _is_power(value)})
        for each in series:
            marked = [n for n, value in enumerate(each.xs) if _is_power(value)]
            axes.plot(
                each.xs, each.ys, color=COLOURS[each.colour % len(COLOURS)], lw=1.8, markersize=4.5,
                marker=MARKS[each.colour % len(MARKS)], ls="--" if each.dashed else "-",
                markevery=marked,
            )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [_short(value) for value in ticks])
        axes.minorticks_off()
        _per_cent(axes)
        return Plot(title, _svg(figure, title), series, note)


def scatter(points: Sequence[tuple[Series, float, float]], title: str, x: str, y: str) -> Plot:
    """Return points (each a series of one) with their intervals (low, high)."""
    with _axes(title, x, y) as (figure, axes):
        for each, low, high in points:
            (at,), (value,) = each.xs, each.ys
            axes.errorbar(
                [at], [value], yerr=[[max(0, value - low)], [max(0, high - value)]],
                fmt=MARKS[each.colour % len(MARKS)], color=COLOURS[each.colour % len(COLOURS)],
                markersize=6, elinewidth=1, capsize=2,
            )  # fmt: skip
        axes.set_xlim(left=0)
        _per_cent(axes)
        return Plot(title, _svg(figure, title), [each for each, _, _ in points])


def histogram(groups: Mapping[str, Sequence[float]], title: str, x: str) -> Plot:
    """Return the distributions of `groups` over shared bins of a logarithmic x above 0."""
    shown = {name: values for name, values in groups.items() if len(values)}
    with _axes(title, x, "answers") as (figure, axes):
        if shown:
            every = [value for values in shown.values() for value in values]
            low, high = math.log2(min(every)), math.log2(max(every))
            bins = 24 if low == high else [2 ** (low + (high - low) * n / 24) for n in range(25)]
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(lambda value, _: _short(value))
            _, _, drawn = axes.hist(
                list(shown.values()), bins=bins, stacked=True, color=list(COLOURS[: len(shown)])
            )
            for number, bars in enumerate(drawn if len(shown) > 1 else [drawn]):
                for bar in bars:
                    bar.set_hatch(("", "////", "..")[number % 3])
                    bar.set_edgecolor(GRID)
        names = [Series(name, (), (), number) for number, name in enumerate(shown)]
        return Plot(title, _svg(figure, title), names)


@contextmanager
def _axes(title: str, x: str, y: str) -> Any:
    ink = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    )
    style = {
        **STYLE, **ink, "font.size": 9, "grid.color": GRID, "grid.alpha": 1, "grid.linewidth": 0.6,
        "axes.axisbelow": True, "svg.hashsalt": title, "axes.facecolor": "none",
        "figure.facecolor": "none", "hatch.color": GRID,
    }  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        axes.set(xlabel=x, ylabel=y)
        yield figure, axes


def _per_cent(axes: Any) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(max(-0.02, low), min(1.02, high))
    axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=0))


def _is_power(value: float) -> bool:
    return float(value).is_integer() and int(value).bit_count() == 1


def _short(value: float) -> str:
    return f"{value / 1024:g}k" if value >= 1024 else f"{value:g}"


_STYLE_ATTRIBUTE = re.compile(r' style="([^"]*)"')
_OWN = {
    INK: "currentColor", GRID: "var(--grid)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(COLOURS)},
}  # fmt: skip


def _svg(figure: Figure, title: str) -> str:
    """Return the figure as an element that scales with its column and has a name for readers.

    The page's policy for styles lets no `style` attribute through, so each becomes attributes.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[a-zA-Z]\w*[._]\w+"', "", text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text)
    text = _STYLE_ATTRIBUTE.sub(_as_attributes, text)
    for colour, own in _OWN.items():
        text = text.replace(colour, own)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _as_attributes(found: re.Match[str]) -> str:
    pairs = (each.partition(":") for each in found[1].split(";") if ":" in each)
    kept = {name.strip(): value.strip() for name, _, value in pairs}
    kept.pop("font-family", None)
    if "font" in kept:
        kept["font-size"] = kept.pop("font").split("px")[0] + "px"
    return "".join(f' {name}="{value}"' for name, value in kept.items())
