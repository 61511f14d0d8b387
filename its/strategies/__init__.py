"""How a context is chosen for a question. A new strategy is one file and one line of the table."""

from .. import seeds
from .mixed import MIXABLE, mix_fault, mixed
from .pick import EVEN, Pick, Shelf, Strategy
from .plain import none, random, similar, unsimilar
from .retrieved import retrieved

STRATEGIES: dict[str, Strategy] = {
    "none": none,
    "similar": similar,
    "unsimilar": unsimilar,
    "random": random,
    "mixed": mixed,
    "retrieved": retrieved,
}

LETTERS = {"none": "n", "similar": "s", "unsimilar": "u", "random": "r"}
"""The paper's own strategies, and its letters for them, which end the names of files."""

__all__ = ["EVEN", "LETTERS", "MIXABLE", "STRATEGIES", "Pick", "Shelf", "choose", "mix_fault"]


def choose(strategy: str, question: str, *, shelf: Shelf, seed: int, member: str) -> Pick | None:
    """Return what `strategy` picks, deterministic in (`seed`, `member`, `question`)."""
    rng = seeds.rng("context", seed, member, question)
    return STRATEGIES[strategy](question, shelf, rng)
