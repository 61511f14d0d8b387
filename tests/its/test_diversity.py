"""The figures of diversity, by hand."""

import math

import numpy as np
import pytest

from its import seeds
from its.diversity import EVEN, FLIPS, Measured, Variety, share_below, signs, without_twins
from its.personas.bank import Bank, Domain, Persona, load
from its.strategies import Shelf

SHELF = Shelf(load())
ASKED = ["A farmer has 12 cows and buys 5 more. How many cows does he have?", "What is love?"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("aabb", Variety(4, 2, 2.0, 0.5)),
        ("aaab", Variety(4, 2, 1.6, 0.75)),
        ("", Variety(0, 0, 0.0, 0.0)),
    ],
)
def test_variety(texts: str, expected: Variety) -> None:
    assert Variety.of(texts) == expected


def test_the_share_below_counts_equals_half() -> None:
    scores = np.array([0.0, 1.0, 1.0, 2.0, 3.0])
    assert [share_below(scores, row) for row in range(5)] == [0, 0.375, 0.375, 0.75, 1]


def test_random_signs_tell_a_difference_from_none() -> None:
    rng = seeds.rng("test")
    assert signs(np.ones(40, np.int64), rng).p == 1 / (FLIPS + 1)
    assert signs(np.array([1, -1] * 20), rng).p > 0.3
    assert signs(-np.ones(40, np.int64), rng).p == 1
    with pytest.raises(ValueError, match="no questions"):
        signs(np.array([], np.int64), rng)


def test_the_same_seed_measures_the_same() -> None:
    def line(seed: int) -> tuple[object, ...]:
        some = Measured(ASKED * 30, SHELF, seed, "m")
        return some.texts("similar"), some.texts(EVEN), some.paired()

    assert line(1) == line(1) != line(2)


def test_contexts_that_are_no_personas_have_no_rank() -> None:
    line = Measured(ASKED, SHELF, 0, "m").line("noise")
    assert math.isnan(line.rank)
    assert math.isnan(line.quantitative)
    with pytest.raises(ValueError, match="'none' has no context"):
        Measured(ASKED, SHELF, 0, "m").line("none")


def test_a_bank_without_numbers_cannot_be_compared() -> None:
    domains = [Domain(name, False, "") for name in "ab"]
    bank = Bank([Persona("You sail.", domains[0]), Persona("You bake.", domains[1])])
    with pytest.raises(ValueError, match="no quantitative personas"):
        Measured(ASKED, Shelf(bank), 0, "m").paired()


def test_near_duplicates_are_one() -> None:
    texts = [
        "You teach algebra to nurses in a small night school.",
        "You teach algebra to nurses in a night school.",
        "You bake rye bread before dawn.",
        "You teach algebra to nurses in a small night school.",
    ]
    assert without_twins(texts) == [texts[0], texts[0], texts[2], texts[0]]
