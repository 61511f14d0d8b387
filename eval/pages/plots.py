"""Plots as SVG text, to stand inside a page: no file, no network. Needs matplotlib."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.figure import Figure

matplotlib.use("svg")
STYLE = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.alpha": 0.25, "svg.fonttype": "none", "svg.hashsalt": "its-eval",
}  # fmt: skip
COLOURS = ("#3b6ea5", "#c8553d", "#5b8c5a", "#8a5a9e", "#b58a2b", "#4a4a4a", "#2a9d8f", "#d4789c")
"""Colours that differ in lightness too, for those who see few of them."""

WIDTH = 84
"""Characters that fit under a plot."""

MARKS = "osD^vPX*"


def curves(
    lines: Mapping[str, Sequence[float]], title: str, x: str, y: str,
    xs: Sequence[float] | None = None,
) -> str:  # fmt: skip
    """Return lines over k = 1, 2, ... (or over `xs`, logarithmic) as SVG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6 + 0.18 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for number, (name, values) in enumerate(lines.items()):
            at = xs or range(1, len(values) + 1)
            axes.plot(at, values, label=name, color=COLOURS[number % len(COLOURS)],
                      marker=MARKS[number % len(MARKS)], markersize=4)  # fmt: skip
        if xs:
            axes.set_xscale("log", base=2)
            axes.set_xticks(list(xs), [f"{value:g}" for value in xs])
        else:
            longest = max((len(values) for values in lines.values()), default=1)
            axes.set_xticks(range(1, longest + 1, max(1, longest // 8)))
        axes.set(title=title, xlabel=x, ylabel=y, ylim=(-0.02, 1.02))
        _legend(figure, list(lines))
        return _svg(figure, title)


def histogram(groups: Mapping[str, Sequence[float]], title: str, x: str) -> str:
    """Return the distributions of `groups` over shared bins as SVG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.subplots()
        shown = {name: values for name, values in groups.items() if len(values)}
        if shown:
            axes.hist(list(shown.values()), bins=20, label=list(shown), stacked=True,
                      color=list(COLOURS[: len(shown)]))  # fmt: skip
            _legend(figure, list(shown))
        axes.set(title=title, xlabel=x, ylabel="samples")
        return _svg(figure, title)


def heat_map(
    rows: Sequence[str], columns: Sequence[str], values: Mapping[tuple[str, str], float],
    marked: frozenset[tuple[str, str]], title: str,
) -> str:  # fmt: skip
    """Return a matrix of shares as SVG; `marked` cells are framed."""
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(
            figsize=(1.6 + 1.1 * len(columns), 1.4 + 0.7 * len(rows)), layout="constrained"
        )
        axes = figure.subplots()
        grid = [[values.get((row, column), float("nan")) for column in columns] for row in rows]
        axes.imshow(grid, cmap="YlGnBu", vmin=0, vmax=1, aspect="auto")
        for y, row in enumerate(rows):
            for x, column in enumerate(columns):
                share = values.get((row, column))
                if share is None:
                    continue
                axes.text(x, y, f"{share:.1%}", ha="center", va="center",
                          color="white" if share > 0.55 else "black")  # fmt: skip
                if (row, column) in marked:
                    axes.add_patch(matplotlib.patches.Rectangle(
                        (x - 0.47, y - 0.46), 0.94, 0.92, fill=False, lw=2, edgecolor=COLOURS[1]
                    ))  # fmt: skip
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.set(title=title, xlabel="asked with", ylabel="trained with")
        return _svg(figure, title)


def _legend(figure: Figure, names: Sequence[str]) -> None:
    """Put the legend under the plot, in as many columns as the names leave room for."""
    if names:
        columns = max(1, min(4, len(names), WIDTH // (max(map(len, names)) + 6)))
        figure.legend(loc="outside lower center", ncols=columns, frameon=False)


def _svg(figure: Figure, title: str) -> str:
    """Return the figure as an element that scales with its column and has a name for readers."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Title": title})
    text = out.getvalue()
    return text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
