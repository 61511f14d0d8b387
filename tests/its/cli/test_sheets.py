"""Tables at any width: every figure is whole, every name is shown, and nothing is markup."""

import csv
import io
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from its.cli import Column, Form, Sheet, in_forms, show

ROWS: list[list[Any]] = [
    ["an-organisation/a-very-long-name-of-a-model[v2]", 0.98125, (0.9265, 0.9953), 16384, 1.9e-6],
    ["m[/b]", None, None, 7, 0.0001],
]
SHEET = Sheet(
    "Figures of [x]",
    [
        Column("model", text=True),
        Column("pass@1", "{:.1%}".format),
        Column("95% interval", "{0[0]:+.1%} to {0[1]:+.1%}".format, parts=("low", "high")),
        Column("completion tokens", missing="unknown"),
        Column("p", "{:.3g}".format),
    ],
    ROWS,
    ["a note [with brackets]"],
)  # fmt: skip


def printed(sheet: Sheet, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(sheet)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [20, 30, 40, 60, 72, 80, 120, 200])
def test_no_figure_is_cropped_at_any_width(width: int) -> None:
    shown = printed(SHEET, width)
    assert max(map(len, shown.splitlines())) <= width
    for figure in ("98.1%", "+92.7%", "+99.5%", "16384", "1.9e-06", "0.0001"):
        assert any(figure in line for line in shown.splitlines()), f"{figure} at {width}"
    assert "…" not in shown
    joined = "".join(shown.split())
    for name in ("[x]", "m[/b]", "[withbrackets]"):
        assert name in joined
    for part in ("an-organisation/", "[v2]"):
        assert part in shown or part in joined


def test_what_fits_is_a_table_and_what_does_not_is_records() -> None:
    wide, narrow = printed(SHEET, 120), printed(SHEET, 40)
    assert len(wide.splitlines()) < len(narrow.splitlines())
    assert "  completion tokens  16384" in narrow


@given(
    st.lists(
        st.tuples(st.text("abc[]/-_ xyz漢", min_size=1, max_size=60), st.integers(0, 10**9)),
        min_size=1,
        max_size=4,
    ),
    st.integers(16, 130),
)
@settings(deadline=None, max_examples=150)
def test_figures_are_whole_whatever_the_names(rows: list[tuple[str, int]], width: int) -> None:
    columns = [Column("name", text=True), Column("count"), Column("twice")]
    shown = printed(Sheet("", columns, [[a, b, 2 * b] for a, b in rows]), width)
    words = shown.split()
    for _, number in rows:
        assert str(number) in words
        assert str(2 * number) in words


def test_csv_has_bare_figures_and_the_ends_of_an_interval_apart() -> None:
    read = list(csv.reader(io.StringIO(SHEET.csv())))
    assert read[0] == ["model", "pass@1", "low", "high", "completion tokens", "p"]
    assert read[1][1:] == ["0.98125", "0.9265", "0.9953", "16384", "1.9e-06"]
    assert read[2][1:4] == ["", "", ""]


def test_markdown_and_latex_escape_what_is_theirs() -> None:
    sheet = Sheet("a|b", [Column("name", text=True), Column("share")], [["x_1|y", "50% & more"]])
    assert r"| x\_1\|y | 50% & more |" in sheet.markdown()
    assert sheet.markdown().startswith(r"**a\|b**")
    assert r"x\_1|y & 50\% \& more \\" in sheet.latex()
    assert r"\begin{tabular}{lr}" in sheet.latex()


def app() -> typer.Typer:
    made = typer.Typer()

    def command(name: str, loud: bool = False, form: Form = Form.TEXT) -> None:
        """Print a name."""
        show(form, [Sheet("", [Column("name", text=True)], [[name]])], [{"name": name}, loud])

    made.command()(in_forms(command))
    return made


@pytest.mark.parametrize(
    ("option", "printed"),
    [
        ("--json", '{"name": "n"}\nfalse\n'),
        ("--csv", "name\nn\n"),
        ("--markdown", "| name |\n| :-- |\n| n |\n"),
        ("--latex", "\\begin{tabular}{l}\n\\toprule\nname \\\\\n\\midrule\nn \\\\\n\\bottomrule\n"
                    "\\end{tabular}\n"),
    ],
)  # fmt: skip
def test_a_command_prints_in_each_form(option: str, printed: str) -> None:
    ended = CliRunner().invoke(app(), ["n", option])
    assert (ended.exit_code, ended.stdout) == (0, printed)


def test_one_form_is_chosen() -> None:
    ended = CliRunner().invoke(app(), ["n", "--json", "--csv"])
    assert ended.exit_code == 2
    assert "choose one" in ended.output
