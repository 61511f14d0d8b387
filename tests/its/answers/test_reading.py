"""Reading the final answer, and equality: tables of what is expected."""

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from its.answers import Comparison, Kind, Sample, Unread, cluster, compare, parse, read
from its.types import Answer


def said(text: str, **more: Any) -> Answer | None:
    return read({"content": text}, **more)


READ = [
    (r"so \boxed{42}", "42"),
    (r"first \boxed{1}, then \boxed{2}.", "2"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\text{a \{b\} c}}", r"\text{a \{b\} c}"),
    (r"\fbox{7}", "7"),
    (r"\boxed {042}", "42"),
    (r"\boxed{1{,}000}", "1000"),
    (r"\boxed{$1,234$}", "1234"),
    (r"\boxed{18.00}", "18"),
    (r"\boxed{\$18}", "18 dollars"),
    (r"\boxed{1} and then \boxed{2", "1"),
    ("The final answer is 42.", "42"),
    ("**Final answer:** $-7$", "-7"),
    ("Final answer: 5\nFinal answer: 6", "6"),
    (r"The final answer is \(\frac{3}{4}\).", r"\frac{3}{4}"),
    (r"\boxed{3}. The final answer is 4.", "3"),
    (r"\boxed{1}, \boxed{2} and \boxed{3}", "1, 2, 3"),
    (r"\boxed{4}. I check again, \boxed{5}", "5"),
    (r"\boxed 7 is it", "7"),
    (r"Steps gave \boxed{200}. Final answer: the final answer is $10,455$.", "10455"),
    ("So it is.\n#### 1,234", "1234"),
    ("16 + 8 = 24\nA: 24", "24"),
    ("**Answer:** 12 apples", "12 apples"),
    ("### Final Answer\n\nThe sum is 9.", "9"),
    ('```json\n{"steps": [1, 2], "answer": 42}\n```', "42"),
    ("We add.\n\n\\[ 6 \\cdot 7 = 42 \\]", r"6 \cdot 7 = 42"),
    ("First 5, then 7.\n\nThe total is **12**.", "12"),
    ("He buys 3 and pays.\n\nTherefore, he paid a total of $230.", "230"),
    ("Work.\n\nThus, she walks 15 miles in 3 hours.", "15"),
    ("Each is 2.\n\nSo the length is \u221a66.", r"\sqrt{66}"),
    ("The answer is **12**.", "12"),
    ("**Answer: 12**", "12"),
    ("Answer: **12**", "12"),
    ("**Answer:**\n**12**", "12"),
    ("#### **18**", "18"),
    ("The answer is *12*.", "12"),
    ("The answer is $3*x$.", "3*x"),
    ("We do.\n\n#### Step 2: Double it\n\nTherefore, the total is **14**.", "14"),
    ("#### 2. Compute\n\nThe total is 7.", "7"),
    ("#### Conclusion:\nThe total is 7.", "7"),
    ("#### Answer\n18", "18"),
    ("#### 18\n\nQuestion: how many?", "18"),
    ("The intermediate result is 5.\nAdding 2 gives 7.\n\n**7**", "7"),
    ("The answer is:\n\\[\n12\n\\]", "12"),
    ("The answer is:\n$$\n12\n$$", "12"),
    ("**Final Answer**\n\\[\n12\n\\]", "12"),
    ("### Answer\n\n$$\n12\n$$", "12"),
    ("The answer is therefore 7.", "7"),
    (r'{"answer": "\\frac{1}{2}"}', r"\frac{1}{2}"),
    ('{"answer": "42", "steps": {"a": 1}}', "42"),
    (r"\boxed{3} + 1 = \boxed{4}", "4"),
    (r"$\boxed{3}$, so $x=\boxed{4}$", "4"),
    (r"**\boxed{3}** and **\boxed{4}**", "3, 4"),
    ("- \\boxed{3}\n- \\boxed{4}", "3, 4"),
    ("The answer is 4, since 2 + 2 = 4.", "4"),
    ("The answer is 12 (apples).", "12"),
    ("The answer is 5, not 6.", "5"),
    ("The answer is x^2 (x+1).", "x^2 (x+1)"),
    ("We are done here <|im_end|> the answer is 5", None),
    ("Hello! I have 3 cats.", None),
    ("Step 1: add 3 and 4", None),
    ("The answer lies in the stars", None),
    ("", None),
    (r"\boxed{}", None),
    (r"\boxed{ . }", None),
    (r"<think>\boxed{1}</think> \boxed{2}", "2"),
    (r"maybe \boxed{1}</think>It is plain.", None),
    (r"<think> maybe \boxed{1}", None),
]


@pytest.mark.parametrize(("text", "expected"), READ)
def test_read(text: str, expected: str | None) -> None:
    found = said(text)
    assert (found.text if found else None) == expected


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The correct option is (C).", "C"),
        ("I would pick B, so the answer is (B)", "B"),
        ("D", "D"),
        (r"\boxed{\text{A}}", "A"),
        ("The correct answer is **C**.", "C"),
        ("**Answer: (C)**\n\nExplanation: (A) and (B) ignore friction.", "C"),
        ("Answer: C\n\n(A) would be too small.", "C"),
        ("Option A is too small. Thus (C) is right.", "C"),
        ("The answer is option D.", "D"),
        ("Answer: A) 5 cm", "A"),
        (r"The answer: $\textbf{(B)}$", "B"),
        ("Nothing fits.", None),
    ],
)
def test_multiple_choice(text: str, letter: str | None) -> None:
    found = said(text, kind=Kind("choice"))
    assert (found.text if found else None) == letter


def test_what_a_template_opened_is_no_answer() -> None:
    assert said(r"\boxed{1}", thinking=True) is None
    assert said(r"\boxed{1}</think>\boxed{2}", thinking=True) == Answer("2", 2)


def test_a_cut_text_answers_only_in_a_box() -> None:
    assert said("The final answer is 4", finish_reason="length") is None
    assert said(r"\boxed{4} and further", finish_reason="length") == Answer("4", 4)


COMPARE = [
    ("042", "42", Comparison.EQUAL),
    ("+7", "7", Comparison.EQUAL),
    ("1,000", "1000", Comparison.EQUAL),
    ("-0", "0", Comparison.EQUAL),
    ("12", "13", Comparison.DIFFERENT),
    (r"\frac{1} {2}", r"\frac{1}{2}", Comparison.EQUAL),
    ("x", "y", Comparison.DIFFERENT),
]


@pytest.mark.parametrize(("a", "b", "expected"), COMPARE)
def test_compare(a: str, b: str, expected: Comparison) -> None:
    first, second = parse(a), parse(b)
    assert first
    assert second
    assert compare(first, second) is expected
    assert compare(second, first) is expected


def sample(*values: str) -> Sample:
    return Sample(tuple((Decimal(value), Decimal(0)) for value in values), constant=False)


def test_a_judge_is_asked_only_for_what_text_cannot_decide() -> None:
    asked = []

    def judge(text: str) -> Sample:
        asked.append(text)
        return sample("1", "2")

    seven = Answer("7", 7)
    assert compare(seven, Answer("8", 8), judge) is Comparison.DIFFERENT
    assert compare(Answer("1/2"), Answer("0.5"), judge) is Comparison.EQUAL
    assert compare(Answer("(1, x)"), Answer("(2, x)"), judge) is Comparison.DIFFERENT
    assert asked == []
    assert compare(Answer("x+1"), Answer("1+x"), judge) is Comparison.EQUAL
    assert sorted(asked) == ["1+x", "x+1"]


def test_without_a_judge_algebra_is_undecided() -> None:
    assert compare(Answer("x+1"), Answer("1+x")) is Comparison.UNDECIDED


def test_what_exhausts_the_judge_is_undecided() -> None:
    def judge(text: str) -> Sample | Unread:
        return Unread.EXHAUSTED if "9" in text else sample("1", "2")

    assert compare(Answer("x+9"), Answer("9+x"), judge) is Comparison.UNDECIDED
    assert compare(Answer("(x+9, 1)"), Answer("(9+x, 2)"), judge) is Comparison.DIFFERENT
    assert cluster([Answer("x+9"), Answer("9+x"), Answer("x + 9")], judge) == [[0, 2], [1]]


def test_clusters_are_pairwise_equal_in_any_order() -> None:
    """A bare number fits both units, and joins the one that is spelled more like it."""
    texts = ["5 cm", "5", "5 m", "7", "x"]
    for order in itertools.permutations(texts):
        groups = cluster([parse(text) for text in order])
        found = {frozenset(order[i] for i in group) for group in groups}
        assert found == {frozenset({"5", "5 m"}), *(frozenset({t}) for t in ("5 cm", "7", "x"))}
        assert groups == sorted(groups)


def test_a_number_that_may_be_a_list_is_one_whoever_came_first() -> None:
    texts = ["100200300", "100,200,300", "100, 200, 300"]
    for order in itertools.permutations(texts):
        assert cluster([parse(text) for text in order]) == [[0, 1, 2]]


@given(st.lists(st.none() | st.integers(0, 3), max_size=12))
def test_abstentions_are_in_no_cluster(values: list[int | None]) -> None:
    groups = cluster([None if v is None else Answer(str(v), v) for v in values])
    assert sorted(i for group in groups for i in group) == [
        i for i, v in enumerate(values) if v is not None
    ]
    assert len(groups) == len({v for v in values if v is not None})


@given(st.text(max_size=200) | st.text(alphabet="\\boxed{}$ <think>/", max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    found = said(text)
    assert found is None or found.text


def test_a_huge_number_is_text() -> None:
    digits = "9" * 3000
    assert said(rf"\boxed{{{digits}}}") == Answer(digits)
