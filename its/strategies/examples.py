"""Worked examples most like the question.

After inference scaling for long-context retrieval (*Inference Scaling for Long-Context Retrieval
Augmented Generation*, arXiv 2410.04343: demonstrations in the prompt) and the coarse half of
R2-LLMs (retrieval of whole problems with their solutions).
"""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from .fetch import Each, Longest, fetch
from .strategy import Options, Pick, Shelf, Strategy

if TYPE_CHECKING:
    from ..notes import Note


class Examples(Options, frozen=True, forbid_unknown_fields=True):
    """How many examples a question gets, and the characters of the longest one's `text`."""

    each: Each = 2
    longest: Longest | None = 2000


def pick(question: str, shelf: Shelf, rng: Random, options: Examples) -> Pick:
    """The examples most like the question; never the question itself or a near-duplicate."""
    return fetch(
        question, shelf, rng, "examples", "examples", options.each, options.longest, solved
    )


def solved(notes: Sequence["Note"]) -> str:
    """Return the examples, a blank line between two: each row's question, then its text.

    A text that begins with its question, or a row without one, stands as it is.
    """
    return "\n\n".join(map(_example, notes))


def _example(note: "Note") -> str:
    question, text = note.question.strip(), note.text.strip()
    if not question or text.startswith(question):
        return text
    return f"Problem: {question}\nSolution: {text}"


STRATEGY = Strategy("examples", "examples", pick, Examples, needs=("examples",))
