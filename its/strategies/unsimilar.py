"""A person whose life has nothing to do with the question (U of Input-Time Scaling,
arXiv 2508.13654, section 3).

Where a model writes the text, the pick's *domain* is what it is asked for, because a small model
that sees the question cannot write an unrelated person.
"""

from random import Random

from .strategy import Options, Pick, Shelf, Strategy, person

FARTHEST = 1 / 3
"""Share of the domains, least similar first, that are drawn from."""


def pick(question: str, shelf: Shelf, rng: Random, options: Options) -> Pick:
    """A domain is drawn among the farthest, then a person of it."""
    bank = shelf.bank
    scores = bank.rank_domains(bank.rank(question))
    # Every domain that scores no more than the last one of the far third: most score exactly
    # zero, and a cut through equal scores would favour the alphabet.
    limit = sorted(scores.values())[int(FARTHEST * (len(scores) - 1))]
    far = [domain for domain, score in scores.items() if score <= limit]
    return person(rng.choice(bank.of(rng.choice(far))), "unsimilar")


STRATEGY = Strategy("unsimilar", "u", pick, Options, prompts=("unsimilar",))
