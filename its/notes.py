"""A user's notes (JSONL), ranked against a question by BM25.

A row is `{"text": ..., "question": ...}`: `text` is what stands in the context - a procedure, a
concept, a worked example - and `question`, if given, is the question that it was made from.
`questions` lists several.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from .bm25 import BM25
from .overlap import Asked, normal
from .words import LONGEST_READ, words


class NotesError(ValueError):
    """Notes that cannot be read; the message names file and line."""


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row of the file."""

    text: str
    question: str = ""
    questions: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The questions that the note was made from."""
        return (self.question, *self.questions) if self.question else self.questions


@dataclass(frozen=True, slots=True)
class Notes:
    """Ranked notes; `sha256` is of the file, for the manifest."""

    notes: Sequence[Note]
    ranker: BM25
    sha256: str = ""

    @classmethod
    def of(cls, notes: Sequence[Note], sha256: str = "") -> "Notes":
        """Index `notes`."""
        ranker = BM25([words(" ".join((*note.sources, note.text))) for note in notes])
        return cls(notes, ranker, sha256)

    def fetch(self, question: str, most: int, longest: int | None = None) -> list[Note]:
        """Return the `most` best notes that share a word with `question`, the best first.

        A note that was made from this question or a near-duplicate of it, or that holds it, would
        hand over its answer: it is left out. So are notes of more than `longest` characters, and
        copies of a text.
        """
        scores = self.ranker.scores(words(question[:LONGEST_READ]))
        asked, best = Asked.of(question[:LONGEST_READ]), dict[str, Note]()
        for i in (-scores).argsort(kind="stable").tolist():
            note = self.notes[i]
            if not scores[i]:
                break
            if longest is not None and len(note.text) > longest:
                continue
            if not any(map(asked.same, (*note.sources, note.text))):
                best.setdefault(note.text, note)
            if len(best) == most:
                break
        return list(best.values())


def load(path: Path) -> Notes:
    """Read and index the notes at `path`.

    Raises:
        NotesError: the file cannot be read, or a row of it is no note.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise NotesError(f"cannot read {path}: {error.strerror}") from error
    lines = enumerate(raw.splitlines(), 1)
    notes = [_note(line, path, number) for number, line in lines if line.strip()]
    made_from = {"".join(normal(source)) for note in notes for source in note.sources or ("",)}
    if len(notes) < 2 or (len(made_from) == 1 and "" not in made_from):
        raise NotesError(
            f"{path}: needs notes from two questions or more, as a question is never given its own"
        )
    return Notes.of(notes, hashlib.sha256(raw).hexdigest())


def _note(line: bytes, path: Path, number: int) -> Note:
    try:
        note = msgspec.json.decode(line, type=Note)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotesError(f"{path}, line {number}: {error}") from error
    if not note.text.strip():
        raise NotesError(f"{path}, line {number}: `text` is empty")
    return note
