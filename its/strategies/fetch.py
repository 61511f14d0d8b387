"""What the retrieving strategies share: notes for the question, or the bank where none fits."""

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from . import similar
from .strategy import SHOWN, Options, Pick, Shelf, ShelfFile

if TYPE_CHECKING:
    from ..notes import Note

Each = Annotated[int, Meta(ge=1, le=50)]
Longest = Annotated[int, Meta(ge=1)]


def fetch(
    question: str, shelf: Shelf, rng: Random, strategy: str, need: ShelfFile, most: int,
    longest: int | None, shown: Callable[[Sequence["Note"]], str],
) -> Pick:  # fmt: skip
    """Return the best notes of the file `need` as `shown` puts them.

    Where every note was made from this question, or is too long, the bank serves.

    Raises:
        ValueError: the shelf has no such file.
    """
    notes = getattr(shelf, need)
    if notes is None:
        raise ValueError(f"the strategy {strategy!r} needs {need}: a JSONL file of notes")
    if found := notes.fetch(question, most, longest):
        return Pick(shown(found), strategy, need, version=notes.sha256[:SHOWN] or None)
    return of_bank(question, shelf, rng, strategy)


def of_bank(question: str, shelf: Shelf, rng: Random, strategy: str) -> Pick:
    """Return a similar person where `strategy` finds nothing: a context is never empty.

    The source says so, and no model writes another text.
    """
    instead = similar.pick(question, shelf, rng, Options())
    return Pick(instead.text, strategy, "bank", instead.domain)


def plain(notes: Sequence["Note"]) -> str:
    """Return the texts as they are, a blank line between two."""
    return "\n\n".join(note.text.strip() for note in notes)


def listed(title: str) -> Callable[[Sequence["Note"]], str]:
    """Return a function that puts texts under `title`, one a line."""
    return lambda notes: "\n".join([title, *(f"- {' '.join(n.text.split())}" for n in notes)])
