"""Personas of the bank, and how they are ranked."""

import re
from collections import Counter
from pathlib import Path

import pytest

from its.asks import asks_for_a_number
from its.personas.bank import BankError, load, read
from its.personas.numbers import NUMBER_WORDS
from its.personas.validate import RULES
from its.strategies import Shelf, choose

BANK = load()
OWN = (
    '{"persona": "You sell 12 hens.", "domain": "farming"}\n\n'
    '{"persona": "You tune pianos.", "domain": "pianos of my town"}\n'
)


def test_the_bank_is_large_and_wide() -> None:
    by_domain = Counter(persona.domain for persona in BANK.personas)
    quantitative = sum(n for domain, n in by_domain.items() if domain.quantitative)
    assert len(BANK.personas) >= 600
    assert len(by_domain) >= 40
    assert quantitative >= 300
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


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("A farmer has 12 cows and buys 5 more. How many cows does he have?", True),
        ("What is 37 + 48?", True),
        ("9 × 12 = ?", True),
        ("Of 40 flowers, 10 are roses. What percentage of them is that?", True),
        ("A bag has 5 red and 3 blue candies. How likely is a blue one?", True),
        ("9 x 12", True),
        ("What is 144 divided by 12?", True),
        ("The fair of 2024-05-01 sold 5x7 prints.", False),
        ("Find all $x$ with $x^2 = 2$.", True),
        ("Write a poem about the sea.", False),
        ("What is love?", False),
        ("", False),
    ],
)
def test_what_asks_for_a_number(question: str, expected: bool) -> None:
    assert asks_for_a_number(question) is expected


def test_a_bank_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "bank.jsonl"
    file.write_text(OWN)
    own = read(file)
    texts = {persona.text for persona in own.personas}
    assert texts == {"You sell 12 hens.", "You tune pianos."}
    picked = choose("similar", "Who tunes my pianos?", shelf=Shelf(own), seed=0, member="m")
    assert picked is not None
    assert picked.text in texts
    assert own.relevance("Who tunes my pianos?").argmax() == 1
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


def test_no_persona_says_a_number() -> None:
    for persona in BANK.personas:
        assert not NUMBER_WORDS.search(persona.text), persona.text


def test_quantitative_personas_keep_the_rules_of_written_ones() -> None:
    for persona in BANK.personas:
        if persona.domain.quantitative:
            broken = [name for name, breaks in RULES.items() if breaks(persona.text)]
            assert not broken, (broken, persona.text)


@pytest.mark.parametrize(
    ("question", "domain"),
    [
        ("12 + 7 * 3", "arithmetic"),
        ("What is the probability that two dice show a seven?", "probability"),
        ("A triangle has an inscribed circle that is tangent to side AB.", "plane geometry"),
        ("Which divisors of 91 are congruent to 1 modulo 6?", "number theory"),
    ],
)
def test_a_topic_has_its_domain(question: str, domain: str) -> None:
    scores = BANK.rank_domains(BANK.relevance(question))
    assert max(scores, key=lambda each: scores[each]).name == domain
