"""The strategies of the paper (Input-Time Scaling, arXiv 2508.13654, section 3): N, S, U and R.

Each picks a persona from the bank. Where a model writes the text, the pick's *domain* is what it
is asked for, because a small model that sees the question cannot write an unrelated person.
"""

from random import Random

from .pick import Pick, Shelf, person

NEAREST = 5
"""Personas that `similar` chooses among: one alone would give three members the same text."""

FARTHEST = 1 / 3
"""Share of the domains, least similar first, that `unsimilar` chooses among."""


def none(question: str, shelf: Shelf, rng: Random) -> Pick | None:
    """No context (N)."""
    return None


def similar(question: str, shelf: Shelf, rng: Random) -> Pick:
    """A person who would write, teach or need this question (S)."""
    return person(rng.choice(shelf.bank.nearest(question, NEAREST)), "similar")


def unsimilar(question: str, shelf: Shelf, rng: Random) -> Pick:
    """A person whose life has nothing to do with this question (U)."""
    scores = shelf.bank.rank_domains(question)
    # Every domain that scores no more than the last one of the far third: most score exactly
    # zero, and a cut through equal scores would favour the alphabet.
    limit = sorted(scores.values())[int(FARTHEST * (len(scores) - 1))]
    far = [domain for domain, score in scores.items() if score <= limit]
    return person(rng.choice(shelf.bank.of(rng.choice(far))), "unsimilar")


def random(question: str, shelf: Shelf, rng: Random) -> Pick:
    """Anybody: a domain is drawn, then a person of it (R)."""
    bank = shelf.bank
    return person(rng.choice(bank.of(rng.choice(bank.domains))), "random")
