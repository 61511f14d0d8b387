"""How much a set of contexts varies."""

from collections import Counter
from collections.abc import Iterable


def effective(counts: Iterable[int]) -> float:
    """Return the inverse Simpson index of how often each text stands in a set.

    So many texts, each used equally often, would vary as much. An empty set has 0.
    """
    times = list(counts)
    squares = sum(number**2 for number in times)
    return sum(times) ** 2 / squares if squares else 0.0


def variety(texts: Iterable[str]) -> tuple[int, float]:
    """Return the number of different texts, and the number of effective ones."""
    counts = Counter(map(hash, texts))  # not the texts: a large set would fill the memory
    return len(counts), effective(counts.values())
