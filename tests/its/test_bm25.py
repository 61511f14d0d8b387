"""The ranker: the formula, and the same order everywhere."""

import math

import pytest

from its.bm25 import BM25, K1, B
from its.words import words

TEXTS = [["cow", "farm"], ["cow", "cow", "milk", "farm"], ["train"], []]


def test_a_score_is_the_formula_of_bm25() -> None:
    scores = BM25(TEXTS).scores(["cow", "milk"])
    average = (2 + 4 + 1 + 0) / 4

    def weight(times: int, held_by: int, length: int) -> float:
        rare = math.log(1 + (4 - held_by + 0.5) / (held_by + 0.5))
        return rare * times / (times + K1 * (1 - B + B * length / average))

    assert scores[0] == pytest.approx(weight(1, 2, 2))
    assert scores[1] == pytest.approx(weight(2, 2, 4) + weight(1, 1, 4))
    assert scores[2:].tolist() == [0, 0]


def test_unknown_and_repeated_words_change_nothing() -> None:
    index = BM25(TEXTS)
    assert index.scores(["cow", "comet", "cow"]).tolist() == index.scores(["cow"]).tolist()
    assert index.scores([]).tolist() == [0, 0, 0, 0]
    assert BM25([]).scores(["cow"]).tolist() == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cows and your ponies pass", ["cow", "pony", "pass"]),
        ("für Bäume", ["für", "bäume"]),
        ("農夫有十二頭牛", ["農夫", "夫有", "有十", "十二", "二頭", "頭牛"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
