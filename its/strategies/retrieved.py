"""Notes and worked examples retrieved for the question, instead of a person.

As in the memory and retrieval papers (ArcMemo, Reasoning Memory): the notes are the user's own.
"""

from random import Random

from .pick import Pick, Shelf


def retrieved(question: str, shelf: Shelf, rng: Random) -> Pick:
    """The notes that fit the question best; never one that was made from this very question.

    Raises:
        ValueError: the shelf has no notes.
    """
    if shelf.notes is None:
        raise ValueError("the strategy 'retrieved' needs notes")
    return Pick(shelf.notes.fetch(question), "retrieved", "notes")
