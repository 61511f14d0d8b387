"""What models wrote, as HTML: nothing of it is markup, and nothing hides."""

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.pages import texts
from eval.pages.mathml import mathml

ALSO = {"none", "display", "semantics", "annotation", "encoding"}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


FORMULAS = {
    "$x^2$": "<msup>", r"\(\frac{1}{2}\)": "<mfrac>", r"\[\sum_{i=1}^n i\]": 'display="block"',
    "$$a_1$$": "<msub>", r"\begin{align*}a&=b\\c&=d\end{align*}": "<mtable",
    r"\boxed{\frac{1}{\sqrt{2}}}": "<menclose", r"$\begin{pmatrix}1\\2\end{pmatrix}$": "<mtable",
}  # fmt: skip


@pytest.mark.parametrize(("written", "element"), FORMULAS.items())
def test_formulas_are_mathml(written: str, element: str) -> None:
    found = texts.rich(f"so {written}, thus")
    assert "<math" in found
    assert element in found
    shown = re.sub(r"<annotation.*?</annotation>", "", found)
    assert "\\" not in shown


@pytest.mark.parametrize(
    "written",
    ["It costs $5 and not $10.", "$5/$10", "from $3 to $4", "a $ sign", "US$ and A$", r"\$3\$"],
)
def test_prices_are_no_formulas(written: str) -> None:
    assert texts.rich(written) == written


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac", r"\left( x", "{" * 900 + "}" * 900, r"\newcommand{\a}{\a\a}\a", r"\def\a{\a\a}\a",
        r"\sqrt" * 400 + "x", "x^2^3", "a" * 3000, r"\begin{matrix}" * 50, "&", r"\left" * 100,
    ],
)  # fmt: skip
def test_a_formula_that_cannot_be_read_stays_as_written(latex: str) -> None:
    found = texts.rich(f"\\({latex}\\)")
    shown = re.sub(r"<[^>]*>", "", found)
    assert shown.replace("&amp;", "&") == f"\\({latex}\\)" or "<math" in found


def test_formulas_hold_no_markup_and_no_links() -> None:
    for latex in (
        r"\text{<script>alert(1)</script>}", r"\href{javascript:alert(1)}{x}",
        r"\class{a}{x}", r"\style{background:url(//x)}{x}", r"\color{red}x", r"\cssId{top}{x}",
        r"\text{&lt;img src=x onerror=alert(1)&gt;}", r"\rule{9999em}{9999em}", r"\hspace{9999em}x",
        r"\mathrm{<b>}", r"\unicode{60}script", r"\text{\u003cb\u003e}",
    ):  # fmt: skip
        found = mathml(latex) or ""
        parser = _Tags()
        parser.feed(found)
        assert all(name.startswith("m") or name in ALSO for name in parser.found)
        assert not re.search(r'="-?9999em"', found)


@pytest.mark.parametrize(
    "sign", ["\u202e", "\u2066", "\u200f", "\u061c", "\u200b", "\ufeff", "\x00", "\x1b", "\ud800"]
)
def test_signs_that_hide_or_turn_the_text_are_shown(sign: str) -> None:
    for shown in (texts.plain, texts.rich, texts.visible):
        found = shown(f"a{sign}b")
        assert sign not in found
        assert f"U+{ord(sign):04X}" in found


@given(st.text(alphabet="<>&\"'=/ $\\{}[]()abxyz_^\n\u202e") | st.text())
def test_no_text_makes_an_element_of_its_own(text: str) -> None:
    parser = _Tags()
    parser.feed(texts.rich(text))
    parser.feed(texts.answer(text))
    assert not parser.found & {"script", "img", "a", "b", "x", "svg", "style", "href", "src", "id"}


def test_text_without_end_is_read_in_linear_time() -> None:
    """A formula that never ends is not searched for to the end of the text, again and again."""
    for piece in (r"\[ x ", r"\( x ", "$x ", r"\boxed{", r"\begin{align} ", "[asy] ", "$$ x"):
        took = []
        for size in (2_000, 8_000):
            before = time.process_time()
            texts.rich(piece * size)
            took.append(time.process_time() - before)
        assert took[1] < 12 * took[0] + 0.5, piece


def test_thinking_is_what_stands_before_the_answer() -> None:
    assert texts.split("<think>hm</think>\n\nIt is 7.", "") == ("<think>hm</think>", "\n\nIt is 7.")
    assert texts.split("It is 7.", "") == ("", "It is 7.")
    assert texts.split("It is 7.", "hm") == ("hm", "It is 7.")
    assert texts.split("<think>never ends", "") == ("<think>never ends", "")
    assert texts.split("", "") == ("", "")


def test_texts_are_cut_to_share_what_there_is() -> None:
    assert texts.longest([10, 20, 30], 60) is None
    assert texts.longest([10, 20, 30], 50) == 20
    assert texts.longest([100] * 10, 50) == 5
    assert texts.whole_up_to([1, 5, 10], 16) is None
    assert texts.whole_up_to([1, 5, 10], 7) == 9
    head, left, tail = texts.shortened("abcdefghi", 6)
    assert (head, left, tail) == ("abcd", 3, "hi")
    assert texts.shortened("abc", 3) == ("abc", 0, "")
