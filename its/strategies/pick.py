"""What a strategy chooses from, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from ..notes import Notes
from ..personas.bank import Bank, Persona
from ..types import Context

EVEN: Mapping[str, float] = {"similar": 1.0, "unsimilar": 1.0}
"""One relevant context for each irrelevant one: the best mix of the paper (section 4)."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """All that strategies may choose from; `mix` is `mixed`'s proportions by strategy."""

    bank: Bank
    mix: Mapping[str, float] = field(default_factory=lambda: EVEN)
    notes: Notes | None = None


@dataclass(frozen=True, slots=True)
class Pick:
    """A text that can stand as the context, from `source` (`bank` or `notes`).

    `strategy` is the one that was drawn. `prompt` names the prompt by which a model may write a
    text of the same `domain` instead; `None` where the text stands as it is.
    """

    text: str
    strategy: str
    source: str
    domain: str | None = None
    prompt: str | None = None

    def context(self, seed: int) -> Context:
        """Return the text as the context that stands beside a question."""
        return Context(self.text, self.strategy, self.source, self.domain, seed)


Strategy: TypeAlias = Callable[[str, Shelf, Random], Pick | None]


def person(persona: Persona, strategy: str) -> Pick:
    """Return a persona of the bank, which a model may write anew by the strategy's own prompt."""
    return Pick(persona.text, strategy, "bank", persona.domain.name, strategy)
