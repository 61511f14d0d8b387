"""Procedural notes ("how to ..."), retrieved for the question.

After Reasoning Memory: procedures are distilled from solved problems and retrieved for new ones.
`its-sft notes` distils them from one's own solved rows.
"""

from random import Random

from .fetch import Each, Longest, fetch, listed
from .strategy import Options, Pick, Shelf, Strategy

TITLE = "Procedures that solved other problems:"


class Procedures(Options, frozen=True, forbid_unknown_fields=True):
    """How many procedures a question gets, and the characters of the longest one."""

    each: Each = 2
    longest: Longest | None = 1200


def pick(question: str, shelf: Shelf, rng: Random, options: Procedures) -> Pick:
    """The procedures that fit best, none of them from this question or a near-duplicate."""
    return fetch(
        question, shelf, rng, "procedures", "notes", options.each, options.longest, listed(TITLE)
    )


STRATEGY = Strategy("procedures", "procedures", pick, Procedures, needs=("notes",))
