"""A small memory of concepts distilled from solved problems.

After *ArcMemo: Abstract Reasoning Composition with Lifelong LLM Memory* (arXiv 2509.04439): short,
reusable ideas instead of whole solutions, several of them for a question.
"""

from random import Random

from .fetch import Each, Longest, fetch, listed
from .strategy import Options, Pick, Shelf, Strategy

TITLE = "Concepts that may help:"


class Concepts(Options, frozen=True, forbid_unknown_fields=True):
    """How many concepts a question gets, and the characters of the longest one."""

    each: Each = 4
    longest: Longest | None = 400


def pick(question: str, shelf: Shelf, rng: Random, options: Concepts) -> Pick:
    """The concepts that fit best, none of them from this question or a near-duplicate."""
    return fetch(
        question, shelf, rng, "concepts", "concepts", options.each, options.longest, listed(TITLE)
    )


STRATEGY = Strategy("concepts", "concepts", pick, Concepts, needs=("concepts",))
