"""How a context is chosen for a question (Input-Time Scaling, arXiv 2508.13654, section 3).

A strategy picks a persona from the bank; where a model writes the text, the pick's *domain* is
what it is asked for, because a small model that sees the question cannot write an unrelated
person. A new strategy is one function and one line of `STRATEGIES`.
"""

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from . import seeds
from .personas.bank import Bank, Persona
from .types import Context

Strategy: TypeAlias = Callable[[str, Bank, Random], Persona | None]

NEAREST = 5
"""Personas that `similar` chooses among: one alone would give three members the same text."""

FARTHEST = 1 / 3
"""Share of the domains, least similar first, that `unsimilar` chooses among."""


def none(question: str, bank: Bank, rng: Random) -> Persona | None:
    """No context (N)."""
    return None


def similar(question: str, bank: Bank, rng: Random) -> Persona | None:
    """A person who would write, teach or need this question (S)."""
    return rng.choice(bank.nearest(question, NEAREST))


def unsimilar(question: str, bank: Bank, rng: Random) -> Persona | None:
    """A person whose life has nothing to do with this question (U)."""
    scores = bank.rank_domains(question)
    # Every domain that scores no more than the last one of the far third: most score exactly
    # zero, and a cut through equal scores would favour the alphabet.
    limit = sorted(scores.values())[int(FARTHEST * (len(scores) - 1))]
    far = [domain for domain, score in scores.items() if score <= limit]
    return rng.choice(bank.of(rng.choice(far)))


def random(question: str, bank: Bank, rng: Random) -> Persona | None:
    """Anybody: a domain is drawn, then a person of it (R)."""
    return rng.choice(bank.of(rng.choice(bank.domains)))


STRATEGIES: dict[str, Strategy] = {
    "none": none,
    "similar": similar,
    "unsimilar": unsimilar,
    "random": random,
}


def choose(strategy: str, question: str, *, bank: Bank, seed: int, member: str) -> Context | None:
    """Return the context of `question`, deterministic in (`seed`, `member`, `question`)."""
    persona = STRATEGIES[strategy](question, bank, seeds.rng("context", seed, member, question))
    if persona is None:
        return None
    return Context(persona.text, strategy, "bank", persona.domain.name, seed)
