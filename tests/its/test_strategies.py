"""Contexts: our own bank, and what each strategy takes from it."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from its.notes import Note, Notes, NotesError
from its.notes import load as load_notes
from its.personas.bank import BankError, asks_for_a_number, load, read
from its.strategies import MIXABLE, STRATEGIES, Shelf, choose, mix_fault
from tests.conftest import ROOT

BANK = load()
NOTES = Notes.of([Note("Count in two ways."), Note("Draw it.", "What is a cow?")], each=1)
SHELF = Shelf(BANK, notes=NOTES)
DOMAINS = {domain.name: domain for domain in BANK.domains}
QUESTION = "A farmer has 12 cows and buys 5 more. How many cows does he have?"


def test_the_bank_is_large_and_wide() -> None:
    by_domain = Counter(persona.domain for persona in BANK.personas)
    quantitative = sum(n for domain, n in by_domain.items() if domain.quantitative)
    assert len(BANK.personas) >= 400
    assert len(by_domain) >= 40
    assert quantitative >= 120
    assert min(by_domain.values()) >= 5


def test_personas_are_specific_and_share_no_run_of_five_words() -> None:
    seen: dict[tuple[str, ...], str] = {}
    for persona in BANK.personas:
        words = re.findall(r"[\w'-]+", persona.text.lower())
        assert 6 <= len(words) <= 50, persona.text
        assert len(re.findall(r"[.!?](?:\s|$)", persona.text)) in (1, 2), persona.text
        assert not re.search(r"\d|\\boxed|answer", persona.text), persona.text
        for run in {tuple(words[i : i + 5]) for i in range(len(words) - 4)}:
            assert run not in seen, (persona.text, seen[run])
            seen[run] = persona.text


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
        "from its.personas.bank import load; from its.strategies import Shelf, choose;"
        f"print([choose(s, {QUESTION!r}, shelf=Shelf(load()), seed=3, member='m') for s in"
        f" {['none', *MIXABLE, 'mixed']!r}])"
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


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (QUESTION, True),
        ("Find all $x$ with $x^2 = 2$.", True),
        ("Write a poem about the sea.", False),
        ("What is love?", False),
        ("", False),
    ],
)
def test_what_asks_for_a_number(question: str, expected: bool) -> None:
    assert asks_for_a_number(question) is expected


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_any_question_gets_a_context(strategy: str) -> None:
    for question in ("", "?", "\u4eca\u65e5\u306f", "a" * 100_000, "\ud800"):
        context = choose(strategy, question, shelf=SHELF, seed=0, member="m")
        assert (context is None) == (strategy == "none")


def test_a_mix_draws_in_its_proportions() -> None:
    shelf = Shelf(BANK, mix={"similar": 3, "random": 1})
    picks = [choose("mixed", f"Question {i}", shelf=shelf, seed=0, member="m") for i in range(800)]
    drawn = Counter(pick.strategy for pick in picks if pick)
    assert drawn.keys() == {"similar", "random"}
    assert 540 <= drawn["similar"] <= 660


@pytest.mark.parametrize(
    ("mix", "wrong"),
    [
        ({"none": 1}, "no 'none' in a mix"),
        ({"similar": -1, "random": 2}, "must be 0 or more"),
        ({"similar": 0}, "needs a share above 0"),
        ({}, "needs a share above 0"),
    ],
)
def test_a_mix_that_cannot_be(mix: dict[str, float], wrong: str) -> None:
    assert wrong in (mix_fault(mix) or "")


def test_notes_are_ranked_and_none_hands_over_the_answer() -> None:
    notes = Notes.of(
        [
            Note("Use the angle bisector theorem.", "A triangle has an angle bisector. Find AD."),
            Note("Count the complement.", "In how many ways can ten lamps be lit?"),
            Note("Lamps: inclusion and exclusion."),
        ],
        each=2,
    )
    assert notes.fetch("How many ways can lamps be lit?").startswith("Count the complement.")
    own = notes.fetch("In how many ways can ten  lamps be lit?")
    assert own.startswith("Lamps")
    assert "complement" not in own
    asked = notes.fetch("In how many ways can ten lamps be lit?\n\nPut the answer into a box.")
    assert "complement" not in asked, "an instruction behind it makes it no other question"
    assert notes.fetch("") == notes.fetch("?"), "a question without words still gets notes"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "two questions or more"),
        ('{"text": "a", "question": "q"}\n{"text": "b", "question": "Q "}', "two questions"),
        ('{"text": "a"}\n{"text": 1}', "line 2"),
        ('{"text": "a"}\n{"text": " "}', "line 2: `text` is empty"),
        ("[]", "line 1"),
        ('{"text": "\xff"}', "line 1"),
    ],
)
def test_notes_that_cannot_be_read_name_their_line(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text(text, "latin-1")
    with pytest.raises(NotesError, match=wrong):
        load_notes(file)


OWN = (
    '{"persona": "You sell 12 hens.", "domain": "farming"}\n\n'
    '{"persona": "You tune pianos.", "domain": "pianos of my town"}\n'
)


def test_a_bank_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "bank.jsonl"
    file.write_text(OWN)
    own = read(file)
    texts = {persona.text for persona in own.personas}
    assert texts == {"You sell 12 hens.", "You tune pianos."}
    picked = choose("similar", "Who tunes my pianos?", shelf=Shelf(own), seed=0, member="m")
    assert picked is not None
    assert picked.text in texts
    assert own.nearest("Who tunes my pianos?", 1)[0].domain.name == "pianos of my town"
    far = choose("unsimilar", "Who tunes my pianos?", shelf=Shelf(own), seed=0, member="m")
    assert far is not None
    assert far.text == "You sell 12 hens."
    assert own.sha256 not in ("", BANK.sha256)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "two domains or more"),
        (OWN.splitlines()[0], "two domains or more"),
        ("[]", "line 1"),
        ('{"persona": "a"}', "line 1: Object missing required field `domain`"),
        (OWN + '{"persona": " ", "domain": "b"}', "line 4: `persona` or `domain` is empty"),
        (OWN + '{"persona": "caf\xe9", "domain": "b"}', "line 4"),
    ],
)
def test_a_bank_that_cannot_be_read_names_its_line(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "bank.jsonl"
    file.write_text(text, "latin-1")
    with pytest.raises(BankError, match=wrong):
        read(file)
