"""How a context is chosen for a question.

A new strategy is one file and one line of the table. Another package adds one with an entry point
of the group `input_time_scaling.strategies`, which names a `Strategy`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from .. import seeds
from ..suggest import unknown
from . import (
    concepts,
    conditions,
    examples,
    language,
    mixed,
    noise,
    none,
    procedures,
    random,
    retrieved,
    similar,
    unsimilar,
)
from .mixed import EVEN, MIXABLE, mix_fault
from .strategy import SHA256, SHOWN, Options, Pick, Shelf, ShelfFile, Strategy, StrategyOptionError

STRATEGIES: dict[str, Strategy[Any]] = {
    "none": none.STRATEGY,
    "similar": similar.STRATEGY,
    "unsimilar": unsimilar.STRATEGY,
    "random": random.STRATEGY,
    "mixed": mixed.STRATEGY,
    "retrieved": retrieved.STRATEGY,
    "procedures": procedures.STRATEGY,
    "concepts": concepts.STRATEGY,
    "examples": examples.STRATEGY,
    "conditions": conditions.STRATEGY,
    "noise": noise.STRATEGY,
    "language": language.STRATEGY,
}

GROUP = "input_time_scaling.strategies"

PAPER = ("none", "similar", "unsimilar", "random")
"""The paper's own strategies."""

__all__ = [
    "EVEN",
    "GROUP",
    "MIXABLE",
    "PAPER",
    "SHA256",
    "SHOWN",
    "STRATEGIES",
    "Options",
    "Pick",
    "Shelf",
    "ShelfFile",
    "Strategy",
    "StrategyOptionError",
    "UnknownStrategy",
    "adds_context",
    "choose",
    "get",
    "mix_fault",
    "names",
]  # fmt: skip


class UnknownStrategy(ValueError):
    """No strategy has that name; the message lists those there are, and the nearest."""


def get(name: str) -> Strategy[Any]:
    """Return the strategy `name`.

    Raises:
        UnknownStrategy: there is none.
    """
    # Plug-ins are looked for last: most processes use none, and the search reads the disk.
    found = STRATEGIES.get(name) or _plugins().get(name)
    if found is None:
        raise UnknownStrategy(unknown("strategy", name, names()))
    return found


def names() -> list[str]:
    """Return the name of every strategy, plug-ins last."""
    return [*STRATEGIES, *_plugins()]


def adds_context(name: str) -> bool:
    """Tell whether the strategy `name` puts a context beside the question.

    Raises:
        UnknownStrategy: there is none of that name.
    """
    return get(name).context


def choose(
    strategy: str, question: str, *, shelf: Shelf, seed: int, member: str,
    options: Mapping[str, Any] | Options | None = None,
) -> Pick | None:  # fmt: skip
    """Return what `strategy` picks, deterministic in (`seed`, `member`, `question`).

    `options` are its own, typed (`Strategy.read`) or not; without them the defaults count.

    Raises:
        UnknownStrategy: there is no such strategy.
        StrategyOptionError: an option is unknown, or its value is not allowed.
        ValueError: `shelf` lacks what the strategy needs.
    """
    by = get(strategy)
    typed = options if isinstance(options, by.options) else by.read(_mapping(options))
    return by.pick(question, shelf, seeds.rng("context", seed, member, question), typed)


def _mapping(options: Mapping[str, Any] | Options | None) -> Mapping[str, Any]:
    if isinstance(options, Options):
        raise StrategyOptionError(f"{type(options).__name__} are the options of another strategy")
    return options or {}


@cache
def _plugins() -> dict[str, Strategy[Any]]:
    """Return the strategies of other packages.

    Raises:
        UnknownStrategy: an entry point names something else, or takes a name of ours.
    """
    from importlib.metadata import entry_points  # 30 ms that hardly any process needs

    found: dict[str, Strategy[Any]] = {}
    for point in entry_points(group=GROUP):
        strategy = point.load()
        if not isinstance(strategy, Strategy) or strategy.name != point.name:
            told = f"{point.value} is no Strategy of the name {point.name!r}"
            raise UnknownStrategy(f"entry point {GROUP}: {told}")
        if point.name in STRATEGIES or point.name in found:
            raise UnknownStrategy(f"entry point {GROUP}: {point.name!r} is taken")
        found[point.name] = strategy
    return found
