"""What every strategy promises: a context where there must be one, the same for the same seed."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from its.notes import Note, Notes
from its.personas.bank import load
from its.strategies import EVEN, STRATEGIES, Shelf, StrategyOptionError, choose, get, mix_fault
from tests.conftest import ROOT

BANK = load()
NOTES = Notes.of([Note("Count in two ways."), Note("Draw it.", "What is a cow?")])
SHELF = Shelf(BANK, notes=NOTES, examples=NOTES, concepts=NOTES)
DOMAINS = {domain.name: domain for domain in BANK.domains}
QUESTION = "A farmer has 12 cows and buys 5 more. How many cows does he have?"


def test_none_is_no_context() -> None:
    assert choose("none", QUESTION, shelf=SHELF, seed=0, member="m") is None


@pytest.mark.parametrize("strategy", ["similar", "unsimilar", "random"])
def test_seed_member_and_question_choose(strategy: str) -> None:
    def persona(seed: int = 0, member: str = "m", question: str = QUESTION) -> str:
        context = choose(strategy, question, shelf=SHELF, seed=seed, member=member)
        assert context
        return context.text

    assert persona() == persona()
    assert len({persona(seed=seed) for seed in range(20)}) >= 4
    assert len({persona(member=f"m{i}") for i in range(20)}) >= 4


def test_every_process_chooses_alike() -> None:
    program = (
        "from its.notes import *; from its.personas.bank import load; from its.strategies import *;"
        "notes = Notes.of([Note('Count the cows.', 'q'), Note('Add what he buys.', 'r')]);"
        "shelf = Shelf(load(), notes, notes, notes);"
        f"print([choose(s, {QUESTION!r}, shelf=shelf, seed=3, member='m') for s in STRATEGIES])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1
    assert "You " in outputs.pop()


@pytest.mark.parametrize("file", ["aime24", "gsm8k_test200"])
def test_similar_is_quantitative_and_unsimilar_is_not(data: Path, file: str) -> None:
    rows = [json.loads(line) for line in (data / f"{file}.jsonl").read_text().splitlines()]

    def share(strategy: str) -> float:
        picks = [
            choose(strategy, row["problem"], shelf=SHELF, seed=seed, member="m")
            for row in rows
            for seed in range(3)
        ]
        return sum(DOMAINS[p.domain or ""].quantitative for p in picks if p) / len(picks)

    assert share("similar") >= 0.90
    assert share("unsimilar") <= 0.02


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_any_question_gets_a_context(strategy: str) -> None:
    for question in ("", "?", "\u4eca\u65e5\u306f", "a" * 100_000, "\ud800"):
        context = choose(strategy, question, shelf=SHELF, seed=0, member="m")
        assert (context is None) == (strategy == "none")


def test_a_mix_draws_in_its_proportions() -> None:
    mix = {"mix": {"similar": 3, "random": 1}}
    picks = [
        choose("mixed", f"Question {i}", shelf=SHELF, seed=0, member="m", options=mix)
        for i in range(800)
    ]
    drawn = Counter(pick.strategy for pick in picks if pick)
    assert drawn.keys() == {"similar", "random"}
    assert 540 <= drawn["similar"] <= 660


@pytest.mark.parametrize(
    ("mix", "wrong"),
    [
        ({"none": 1}, "Unknown strategy 'none' of a mix"),
        ({"similar": -1, "random": 2}, "must be 0 or more"),
        ({"similar": 0}, "needs a share above 0"),
        ({}, "needs a share above 0"),
        ({"similar": 1e308, "random": 1e308}, "too large"),
    ],
)
def test_a_mix_that_cannot_be(mix: dict[str, float], wrong: str) -> None:
    assert wrong in (mix_fault(mix) or "")


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if STRATEGIES[name].needs])
def test_a_strategy_says_what_its_shelf_lacks(strategy: str) -> None:
    (need,) = STRATEGIES[strategy].needs
    assert STRATEGIES[strategy].missing(Shelf(BANK)) == [need]
    assert STRATEGIES[strategy].missing(SHELF) == []
    with pytest.raises(ValueError, match=f"{strategy!r} needs {need}"):
        choose(strategy, QUESTION, shelf=Shelf(BANK), seed=0, member="m")


def test_options_of_another_strategy_are_refused() -> None:
    noise = get("noise").read({})
    with pytest.raises(StrategyOptionError, match="Noise are the options of another strategy"):
        choose("mixed", QUESTION, shelf=SHELF, seed=0, member="m", options=noise)


def test_an_even_mix_is_the_default() -> None:
    assert get("mixed").read({}).mix == EVEN
