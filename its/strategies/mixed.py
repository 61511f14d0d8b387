"""A seeded mix of contexts over a data set: the paper's best results mix relevant and irrelevant
ones (Input-Time Scaling, arXiv 2508.13654, section 4)."""

from collections.abc import Mapping
from random import Random

from .pick import Pick, Shelf, Strategy
from .plain import random, similar, unsimilar

MIXABLE: Mapping[str, Strategy] = {"similar": similar, "unsimilar": unsimilar, "random": random}
"""No mix has questions without a context: it would be trained in one stage only."""


def mixed(question: str, shelf: Shelf, rng: Random) -> Pick | None:
    """One of `shelf.mix`, drawn for each question in its proportions."""
    names = sorted(shelf.mix)
    drawn = rng.choices(names, [shelf.mix[name] for name in names])[0]
    return MIXABLE[drawn](question, shelf, rng)


def mix_fault(mix: Mapping[str, float]) -> str | None:
    """Say what is wrong with a mix; `None` if nothing is."""
    for name, share in mix.items():
        if name not in MIXABLE:
            return f"no {name!r} in a mix; there are: {', '.join(MIXABLE)}"
        if not 0 <= share < float("inf"):
            return f"the share of {name!r} must be 0 or more"
    return None if sum(mix.values()) > 0 else "needs a share above 0"
