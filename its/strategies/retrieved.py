"""The user's own notes, as they are, retrieved for the question instead of a person."""

from random import Random

from .fetch import Each, Longest, fetch, plain
from .strategy import Options, Pick, Shelf, Strategy


class Retrieved(Options, frozen=True, forbid_unknown_fields=True):
    """How many notes a question gets, and the characters of the longest one."""

    each: Each = 1
    longest: Longest | None = None


def pick(question: str, shelf: Shelf, rng: Random, options: Retrieved) -> Pick:
    """The notes that fit the question best; never one that was made from this very question."""
    return fetch(question, shelf, rng, "retrieved", "notes", options.each, options.longest, plain)


STRATEGY = Strategy("retrieved", "retrieved", pick, Retrieved, needs=("notes",))
