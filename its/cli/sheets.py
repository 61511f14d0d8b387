"""Tables that a command prints: no figure of them is ever cropped.

Where a table does not fit the terminal, its rows are printed one below the other. The same table is
written as CSV (bare figures), Markdown or LaTeX.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

NARROWEST = 14
"""Characters that a column of text is not folded below; then the rows are printed instead."""

GAPS = (2, 1)
"""Spaces between two columns: one, where two do not fit."""

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `show` gives a value's text; `None` is shown as `missing`.

    A column of `text` may be folded. A value may be a sequence of figures, as an interval is; then
    `parts` names them, for CSV has a column for each.
    """

    name: str
    show: Callable[[Any], str] = str
    text: bool = False
    missing: str = "-"
    parts: tuple[str, ...] = ()

    def shown(self, value: Any) -> str:
        return self.missing if value is None else self.show(value)

    def bare(self, value: Any) -> list[Any]:
        """Return a value as CSV has it; what is not known is empty."""
        if not self.parts:
            return [value]
        return [None] * len(self.parts) if value is None else list(value)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: rows have a value for each column; `notes` stand below it."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()

    def texts(self) -> list[list[str]]:
        return [
            [column.shown(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> Iterator["Text"]:
        """Let rich print the table in the width that there is."""
        from rich.text import Text

        if self.title:
            yield Text(self.title, style="bold", overflow="fold")
        texts, room = self.texts(), options.max_width
        fits = (each for gap in GAPS if (each := _widths(self.columns, texts, room, gap)))
        if layout := next(fits, None):
            yield from _table(self.columns, texts, layout, console)
        else:
            yield from _records(self.columns, texts, room)
        for note in self.notes:
            yield Text(note, style="dim", overflow="fold")

    def csv(self) -> str:
        """Return the table as CSV: figures unrounded, and the parts of an interval apart."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([name for each in self.columns for name in each.parts or (each.name,)])
        for row in self.rows:
            pairs = zip(self.columns, row, strict=True)
            writer.writerow([part for column, value in pairs for part in column.bare(value)])
        return out.getvalue()

    def markdown(self) -> str:
        """Return the table as a Markdown table, below its title."""
        heads = [_markdown(column.name) for column in self.columns]
        rule = [":--" if column.text else "--:" for column in self.columns]
        rows = [heads, rule, *([_markdown(text) for text in row] for row in self.texts())]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        title = [f"**{_markdown(self.title)}**", ""] if self.title else []
        notes = [line for note in self.notes for line in ("", _markdown(note))]
        return "\n".join([*title, *lines, *notes]) + "\n"

    def latex(self) -> str:
        """Return the table as LaTeX's `tabular`, with the rules of the package booktabs."""
        spec = "".join("l" if column.text else "r" for column in self.columns)
        heads = [_latex(column.name) for column in self.columns]
        body = [" & ".join(map(_latex, row)) + r" \\" for row in self.texts()]
        comments = [f"% {' '.join(each.split())}" for each in (self.title, *self.notes) if each]
        return "\n".join(
            [*comments, rf"\begin{{tabular}}{{{spec}}}", r"\toprule", " & ".join(heads) + r" \\",
             r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
        ) + "\n"  # fmt: skip


def _markdown(text: str) -> str:
    """Escape what Markdown would read as markup; a cell is one line."""
    escaped = "".join(f"\\{sign}" if sign in "\\|*_`[]<>" else sign for sign in text)
    return " ".join(escaped.split())


def _latex(text: str) -> str:
    return " ".join("".join(_LATEX.get(sign, sign) for sign in text).split())


@dataclass(frozen=True, slots=True)
class _Layout:
    """The width of each column, and what stands between two."""

    widths: Sequence[int]
    gap: int


def _widths(
    columns: Sequence[Column], texts: Sequence[Sequence[str]], room: int, gap: int
) -> _Layout | None:
    """Return how the columns stand side by side, or `None` where they do not fit."""
    from rich.cells import cell_len

    heads = [max(map(cell_len, column.name.split()), default=1) for column in columns]
    whole = [max([cell_len(line) for row in texts for line in row[n].splitlines()] or [0])
             for n in range(len(columns))]  # fmt: skip
    widths = [
        max(head, min(wide, NARROWEST) if column.text else wide)
        for column, head, wide in zip(columns, heads, whole, strict=True)
    ]
    left = room - sum(widths) - gap * (len(columns) - 1)
    if left < 0:
        return None
    for n, column in enumerate(columns):
        # A head that could stand in one line is no reason for a wide column of figures.
        more = min(left, max(0, whole[n] - widths[n])) if column.text else 0
        widths[n] += more
        left -= more
    return _Layout(widths, gap)


def _table(
    columns: Sequence[Column], texts: Sequence[Sequence[str]], layout: _Layout, console: "Console"
) -> Iterator["Text"]:
    """Yield the lines of the table. Rich's own table would squeeze columns, and break figures."""
    from rich.text import Text

    for line in _lines([column.name for column in columns], columns, layout, console, top=False):
        yield Text(line, style="bold", no_wrap=True)
    rule = sum(layout.widths) + layout.gap * (len(columns) - 1)
    yield Text(("-" if console.options.ascii_only else "─") * rule, no_wrap=True)
    for row in texts:
        for line in _lines(row, columns, layout, console):
            yield Text(line, no_wrap=True)


def _lines(
    row: Sequence[str], columns: Sequence[Column], layout: _Layout, console: "Console",
    *, top: bool = True,
) -> Iterator[str]:  # fmt: skip
    """Yield the lines of one row; short cells stand at the top, or at the bottom."""
    from rich.text import Text

    cells = [
        [each.plain.rstrip() for each in Text(text).wrap(console, width, overflow="fold")] or [""]
        for text, width in zip(row, layout.widths, strict=True)
    ]
    height = max(map(len, cells))
    for number in range(height):
        parts = []
        for lines, column, width in zip(cells, columns, layout.widths, strict=True):
            at = number if top else number - (height - len(lines))
            parts.append(_padded(lines[at] if 0 <= at < len(lines) else "", column.text, width))
        yield (" " * layout.gap).join(parts).rstrip()


def _padded(text: str, left: bool, width: int) -> str:
    from rich.cells import cell_len

    space = " " * (width - cell_len(text))
    return text + space if left else space + text


def _records(
    columns: Sequence[Column], texts: Sequence[Sequence[str]], room: int
) -> Iterator["Text"]:
    """Yield each row as lines `name  value`; the first column heads them."""
    from rich.text import Text

    wide = min(max(len(column.name) for column in columns), room // 2)
    for row in texts:
        head = row[0] if columns[0].text else f"{columns[0].name} {row[0]}"
        yield Text(head, style="bold", overflow="fold")
        for column, text in zip(columns[1:], row[1:], strict=True):
            for line in _record(column.name, text, wide, room):
                yield Text(line, overflow="fold")


def _record(name: str, text: str, wide: int, room: int) -> Iterator[str]:
    """Yield the lines of one figure of a record; a long one stands below its name."""
    from rich.cells import cell_len

    lines = text.splitlines() or [""]
    if len(name) > wide or wide + 4 + max(map(cell_len, lines)) > room:
        yield f"  {name}"
        yield from (f"    {line}" for line in lines)
        return
    for number, line in enumerate(lines):
        yield f"  {('' if number else name):<{wide}}  {line}"
