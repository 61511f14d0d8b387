"""`similar` is relevant and varied; the figures are those that training needs."""

import json
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from eval.codesign.problems import worked
from its.diversity import EVEN, Measured
from its.personas.bank import load
from its.strategies import Shelf, choose, get

SHELF = Shelf(load())


@cache
def questions(data: Path, *files: str) -> tuple[str, ...]:
    rows = [json.loads(line) for file in files for line in (data / file).read_text().splitlines()]
    return tuple(row.get("problem") or row["question"] for row in rows)


def measured(asked: tuple[str, ...], seed: int = 0) -> Measured:
    return Measured(asked, SHELF, seed, "train")


def sums() -> tuple[str, ...]:
    rng = Random(0)
    return tuple(f"What is {rng.randint(2, 999)} + {rng.randint(2, 999)}?" for _ in range(300))


def test_gsm8k_gets_varied_people_who_live_on_numbers(data: Path) -> None:
    line = measured(questions(data, "gsm8k_train.jsonl")[:1000]).line("similar")
    assert line.quantitative >= 0.90
    assert line.variety.effective >= 60
    assert line.variety.largest <= 0.05


@pytest.mark.parametrize("seed", range(4))
def test_aime_gets_varied_people_who_live_on_numbers(data: Path, seed: int) -> None:
    line = measured(questions(data, "aime24.jsonl", "aime25.jsonl"), seed).line("similar")
    assert line.quantitative >= 0.90
    assert line.variety.effective >= 25


@pytest.mark.parametrize("file", ["gsm8k_test.jsonl", "math500.jsonl"])
def test_variety_does_not_cost_relevance(data: Path, file: str) -> None:
    some = measured(questions(data, file)[:300])
    similar, others = some.line("similar"), [some.line(n) for n in ("unsimilar", "random", EVEN)]
    assert similar.rank > max(other.rank for other in others) + 0.1
    assert similar.shared > 2 * max(other.shared for other in others)


def test_similar_beats_an_even_draw_from_quantitative_personas(data: Path) -> None:
    paired = measured(questions(data, "gsm8k_test.jsonl")[:1000]).paired()
    assert paired.questions == 1000
    assert paired.mean > 0
    assert paired.p < 0.001


def test_stories_and_sums_get_varied_people_too() -> None:
    stories = measured(tuple(question for question, _, _ in islice(worked(0), 600)))
    assert stories.line("similar").variety.effective >= 40
    line = measured(sums()).line("similar")
    assert line.quantitative == 1
    assert line.variety.effective >= 20


def test_who_asks_for_no_number_gets_no_mathematician() -> None:
    domains = {
        pick.domain
        for seed in range(20)
        if (pick := choose("similar", "How do bees winter?", shelf=SHELF, seed=seed, member="m"))
    }
    assert "beekeeping" in domains
    assert not domains & {"algebra", "calculus", "word problems"}


def test_the_version_tells_the_new_draw() -> None:
    assert get("similar").version == 2
    assert get("mixed").version == 2, "it draws `similar` too"
