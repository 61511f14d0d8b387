"""Anybody (R of Input-Time Scaling, arXiv 2508.13654, section 3).

Where a model writes the text, the pick's *domain* is what it is asked for.
"""

from random import Random

from .strategy import Options, Pick, Shelf, Strategy, person


def pick(question: str, shelf: Shelf, rng: Random, options: Options) -> Pick:
    """A domain is drawn, then a person of it."""
    bank = shelf.bank
    return person(rng.choice(bank.of(rng.choice(bank.domains))), "random")


STRATEGY = Strategy("random", "r", pick, Options, prompts=("random",))
