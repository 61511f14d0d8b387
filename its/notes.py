"""A user's notes (JSONL), ranked against a question by BM25.

A row is `{"text": ..., "question": ...}`: `text` is what stands in the context - a procedure, a
lesson, a worked example - and `question`, if given, is the question that it was made from.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from .bm25 import BM25
from .words import LONGEST_READ, words

NOTES_EACH = 1
"""Notes that a question gets: long contexts help less than fitting ones."""


SURELY = 20
"""Characters of a question, without spaces, that another one does not hold by chance."""


class NotesError(ValueError):
    """Notes that cannot be read; the message names file and line."""


class Note(msgspec.Struct, frozen=True):
    """One row of the file."""

    text: str
    question: str = ""


@dataclass(frozen=True, slots=True)
class Notes:
    """Ranked notes; `sha256` is of the file, for the manifest."""

    notes: Sequence[Note]
    each: int
    ranker: BM25
    sha256: str = ""

    @classmethod
    def of(cls, notes: Sequence[Note], each: int, sha256: str = "") -> "Notes":
        """Index `notes`."""
        ranker = BM25()
        ranker.index([words(f"{n.question} {n.text}") for n in notes], show_progress=False)
        return cls(notes, each, ranker, sha256)

    def fetch(self, question: str) -> str:
        """Return the best notes for `question`, the best first, a blank line between two.

        A note that was made from this very question would hand over its answer: it is left out.
        """
        said = dict.fromkeys(words(question[:LONGEST_READ]))
        query = [word for word in said if word in self.ranker.vocab_dict]
        scores = self.ranker.get_scores(query) if query else np.zeros(len(self.notes))
        asked, best = _key(question), []
        for i in np.argsort(-scores, kind="stable").tolist():
            if not _same(_key(self.notes[i].question), asked):
                best.append(self.notes[i].text)
            if len(best) == self.each:
                break
        return "\n\n".join(best)


def load(path: Path, each: int = NOTES_EACH) -> Notes:
    """Read and index the notes at `path`; a question gets `each` of them.

    Raises:
        NotesError: the file cannot be read, or a row of it is no note.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise NotesError(f"cannot read {path}: {error.strerror}") from error
    notes = [
        _note(line, path, number) for number, line in enumerate(raw.splitlines(), 1) if line.strip()
    ]
    sources = {_key(note.question) for note in notes}
    if len(notes) < 2 or (len(sources) == 1 and "" not in sources):
        raise NotesError(
            f"{path}: needs notes from two questions or more, as a question is never given its own"
        )
    return Notes.of(notes, each, hashlib.sha256(raw).hexdigest())


def _note(line: bytes, path: Path, number: int) -> Note:
    try:
        note = msgspec.json.decode(line, type=Note)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotesError(f"{path}, line {number}: {error}") from error
    if not note.text.strip():
        raise NotesError(f"{path}, line {number}: `text` is empty")
    return note


def _same(a: str, b: str) -> bool:
    """Tell whether two keys are of one question, of which one may have an instruction around it."""
    shorter, longer = sorted((a, b), key=len)
    return bool(shorter) and (shorter == longer or (len(shorter) >= SURELY and shorter in longer))


def _key(question: str) -> str:
    """Return what two copies of one question share, whatever their spaces."""
    return "".join(question.split()).lower()
