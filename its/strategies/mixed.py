"""A seeded mix of contexts over a data set: the paper's best results mix relevant and irrelevant
ones (Input-Time Scaling, arXiv 2508.13654, section 4)."""

from collections.abc import Mapping
from random import Random

import msgspec

from ..suggest import unknown
from . import random, similar, unsimilar
from .strategy import Options, Pick, Shelf, Strategy

MIXABLE = {each.name: each for each in (similar.STRATEGY, unsimilar.STRATEGY, random.STRATEGY)}
"""No mix has questions without a context: it would be trained in one stage only."""

EVEN: Mapping[str, float] = {"similar": 1.0, "unsimilar": 1.0}
"""One relevant context for each irrelevant one: the best mix of the paper (section 4)."""


class Mix(Options, frozen=True, forbid_unknown_fields=True):
    """`mix` holds a share for each strategy."""

    mix: dict[str, float] = msgspec.field(default_factory=lambda: {**EVEN})

    def __post_init__(self) -> None:
        if wrong := mix_fault(self.mix):
            raise ValueError(wrong)


def pick(question: str, shelf: Shelf, rng: Random, options: Mix) -> Pick | None:
    """One of the mix's strategies, drawn for each question in its proportions."""
    names = sorted(options.mix)
    drawn = MIXABLE[rng.choices(names, [options.mix[name] for name in names])[0]]
    return drawn.pick(question, shelf, rng, Options())


def mix_fault(mix: Mapping[str, float]) -> str | None:
    """Say what is wrong with a mix; `None` if nothing is."""
    for name, share in mix.items():
        if name not in MIXABLE:
            return unknown("strategy", name, MIXABLE, "a mix")
        if not 0 <= share < float("inf"):
            return f"the share of {name!r} must be 0 or more"
    if sum(mix.values()) == float("inf"):
        return "its shares are too large to be added; 1 and 2 do as well"
    return None if sum(mix.values()) > 0 else "needs a share above 0"


STRATEGY = Strategy("mixed", "mixed", pick, Mix, prompts=tuple(MIXABLE), version=2)
