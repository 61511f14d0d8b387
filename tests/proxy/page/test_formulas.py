"""Formulas become trees of listed elements; what is hostile stays LaTeX."""

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.page import formulas
from proxy.page.formulas import Tree, tree, trees


def names(found: Tree) -> set[str]:
    return {found[0]}.union(*(names(child) for child in found[3]))


def attributes(found: Tree) -> set[str]:
    return set(found[1]).union(*(attributes(child) for child in found[3]))


def test_a_fraction_is_a_tree() -> None:
    found = tree(r"\frac{1}{2}")
    assert found is not None
    assert {"math", "mfrac", "mn"} <= names(found)


@pytest.mark.parametrize("latex", [
    r"\text{<script>alert(1)</script>}",
    r"\text{</mtext><mi href='x'>}",
    r"\def\a{\a\a}\a",
    r"\newcommand{\a}{xx}\a",
    r"\let\a\b",
    "{" * 300 + "}" * 300,
    r"\left(" * 90,
    "x^" * 200,
    "^" * 500,
    "x" * 601,
    r"\begin{matrix}" * 40,
    "",
])  # fmt: skip
def test_what_is_hostile_or_wrong_stays_latex(latex: str) -> None:
    assert tree(latex) is None


def test_links_styles_and_classes_are_left_out() -> None:
    found = tree(r"\href{javascript:alert(1)}{x}\style{color:red}{y}\class{c}{z}")
    assert found is not None
    assert attributes(found) <= {"display"}


PIECES = st.sampled_from([
    "x", "1", "{", "}", "^", "_", "\\frac", "\\sqrt", "[", "]", "\\left(", "\\right)", "&", "\\\\",
    "\\text{", "\\begin{matrix}", "\\end{matrix}", "<", ">", "'", "\\href{a}{b}", "$", " ",
])  # fmt: skip


@given(st.lists(PIECES, max_size=80).map("".join))
def test_no_text_raises_or_brings_in_what_is_not_listed(latex: str) -> None:
    found = tree(latex)
    if found is not None:
        assert names(found) <= formulas._ELEMENTS
        assert attributes(found) <= formulas._ATTRIBUTES


def test_formulas_of_one_request_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    assert None not in trees(["x"] * 3)
    monkeypatch.setattr(formulas, "MOST_SECONDS", 0.0)
    assert trees(["x"] * 3) == [None] * 3


def test_the_trees_that_are_kept_need_little_memory() -> None:
    tree.cache_clear()
    tracemalloc.start()
    for number in range(300):
        tree(f"{number}+" + "a+" * 40)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert tree.cache_info().currsize <= formulas.MOST
    assert kept * formulas.LONGEST / 80 < 64_000_000


@pytest.mark.parametrize("piece", ["{x}", "x'", "\\frac12", "\\text{a", "a&", "x_1^2", "\\\\", "{"])
def test_the_longest_formula_costs_little(piece: str) -> None:
    text = (piece * formulas.LONGEST)[: formulas.LONGEST]
    since = time.thread_time()
    tree.__wrapped__(text)
    assert time.thread_time() - since < 1.0  # it takes 20 ms; a hang would take for ever
