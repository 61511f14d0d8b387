"""Why two answers are equal, in words."""

import pytest

from its.answers.algebra.judge import Comparison
from its.answers.explained import explain, meaning, normal
from its.types import Answer


def math(text: str) -> Answer:
    return Answer(text, int(text) if text.isdigit() else None)


@pytest.mark.parametrize(("a", "b", "outcome", "why"), [
    (math("7"), math("7"), "equal", "the whole number"),
    (math("7"), math("8"), "different", "whole numbers differ"),
    (math("1/2"), math("0.5"), "equal", "the same number, exactly"),
    (math("x + 1"), math("x+1"), "equal", "but for spaces"),
    (math("x+1"), math("1+x"), "undecided", "count as different"),
    (math("1,2,3"), math("3,2,1"), "equal", "the same items"),
    (math("1/2"), math("0.6"), "different", "not equal"),
    (Answer("a", None, "text"), Answer("b", None, "text"), "different", "as they are written"),
    (Answer("Yes", None, "label"), Answer("yes", None, "label"), "equal", "spaces or case"),
    (Answer("a", None, "text"), math("x"), "different", "a text is not mathematics"),
])  # fmt: skip
def test_a_pair_is_explained(a: Answer, b: Answer, outcome: str, why: str) -> None:
    found, told = explain(a, b)
    assert found is Comparison(outcome)
    assert why in told
    assert explain(b, a)[0] is found


def test_meaning_and_normal_form() -> None:
    assert meaning(math("7")) == "a whole number"
    assert meaning(math("1/2")) == "a number"
    assert meaning(Answer("{}", None, "json")) == "JSON"
    assert normal(math("x + 1")) == "x+1"
    assert normal(Answer("Yes", None, "label")) == "yes"
    assert normal(Answer("huge", 10**4000)).startswith("0x")
