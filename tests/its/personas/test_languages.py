"""Personas in other languages: ours, enough of each, and without numbers."""

import re

import pytest

from its.personas.bank import load as load_bank
from its.personas.languages import CODES, load

NUMBER_WORDS = {
    "de": "zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|hundert|tausend|halb|doppelt",
    "es": "dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|cien|ciento|mil|medio|doble",
    "fr": "deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|cent|mille|moitié|double",
    "it": "due|tre|quattro|cinque|sei|sette|otto|nove|dieci|undici|dodici|cento|mille|mezzo|doppio",
}
BEGINS = {"de": "Du ", "es": "", "fr": "Tu ", "it": ""}


@pytest.mark.parametrize("code", CODES)
def test_forty_of_each_and_none_says_a_number(code: str) -> None:
    personas = load(code)
    assert len({each.persona for each in personas}) == len(personas) >= 40
    for each in personas:
        assert each.persona.startswith(BEGINS[code])
        assert each.persona[-1] == "."
        assert 8 <= len(each.persona.split()) <= 40
        assert not re.search(rf"\d|\b({NUMBER_WORDS[code]})\b", each.persona, re.I), each.persona


@pytest.mark.parametrize("code", CODES)
def test_their_domains_are_the_banks(code: str) -> None:
    known = {domain.name for domain in load_bank().domains}
    assert {each.domain for each in load(code)} <= known


def test_no_persona_stands_in_two_languages() -> None:
    every = [each.persona for code in CODES for each in load(code)]
    assert len(set(every)) == len(every)
