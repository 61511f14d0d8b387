"""Near-duplicates: the pair measure says what decontamination says."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from its.overlap import Asked

LONG = "A farmer has twelve cows, buys five more at the fair, and sells three of them to his aunt."


CHINESE = "農夫有十二頭牛,又買了五頭。一共有多少頭牛呢請問"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (LONG, True),
        (LONG.upper().replace(",", " ;"), True),
        (f"Question: {LONG} Put the final answer into a box.", True),
        ("Buys five more at the fair and sells three of them to his aunt: how many?", True),
        (LONG.replace("five", "six").replace("twelve", "ten"), False),
        ("What is a cow?", False),
        ("", False),
    ],
)
def test_one_question_and_another(other: str, same: bool) -> None:
    assert Asked.of(LONG).same(other) is same
    assert Asked.of(other).same(LONG) is same


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("What is 2+2?", "what is 2 + 2", True),
        ("What is 2+2?", "Tell me: what is 2+2, and then what is 3+3?", False),
        ("How many cows are left?", "He sells nine. How many cows are left? Explain.", True),
        (CHINESE, f"問題:{CHINESE}作答", True),
    ],
)  # fmt: skip
def test_short_ones(a: str, b: str, same: bool) -> None:
    assert Asked.of(a).same(b) is same
    assert Asked.of(b).same(a) is same


@given(st.text("ab c1", max_size=60), st.text("ab c1", max_size=60))
def test_the_measure_is_symmetric(a: str, b: str) -> None:
    assert Asked.of(a).same(b) is Asked.of(b).same(a)


def test_it_finds_all_that_decontamination_finds(tmp_path: Path) -> None:
    from sft.data.decontaminate import TestQuestions

    texts = [LONG, "What is 2+2?", "How many cows are left?", "Name the capital of France now."]
    asked = [*texts, f"Hint. {LONG}", "He sells. How many cows are left? Go.", "What is 3+3?"]
    for text in texts:
        file = tmp_path / "test.jsonl"
        file.write_text(json.dumps({"problem": text}) + "\n")
        known = TestQuestions([file])
        for question in asked:
            assert Asked.of(question).same(text) or known.overlap(question) is None
