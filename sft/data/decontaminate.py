"""Training questions that a test set has: the same words, or thirteen of them in a row.

`its.overlap` has the measure, and the comparison of two questions by it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from its.overlap import GRAM, SHORTEST, grams, normal

from ..errors import DataError
from .raw import Bad, file_rows
from .record import TestFile


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a training question shares with a test question."""

    file: str
    id: str
    kind: str
    text: str


class TestQuestions:
    """Finds the overlaps of training questions with files of `{id, problem}` rows.

    Raises:
        DataError: a file cannot be read, or a row of it has no question.
    """

    __test__ = False

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files: list[TestFile] = []
        self._whole: dict[str, tuple[str, str]] = {}
        self._grams: dict[int, dict[str, tuple[str, str]]] = {}
        self._said: list[tuple[str, tuple[str, str]]] = []
        for path in paths:
            self._add(path)

    def overlap(self, question: str) -> Overlap | None:
        """Return what `question` shares with a test question; `None` if it shares nothing."""
        if not self.files:
            return None
        words = normal(question)
        if found := self._whole.get("".join(words)):
            return Overlap(*found, "exact", " ".join(words))
        for length, known in self._grams.items():
            for gram in grams(words, length):
                if found := known.get(gram):
                    return Overlap(*found, f"{length}-gram", gram)
        return self._inside(words) if SHORTEST <= len(words) < GRAM else None

    def _inside(self, words: Sequence[str]) -> Overlap | None:
        """Return the test question in which a short one stands whole."""
        text = " ".join(words)
        for said, place in self._said:
            if f" {text} " in said:
                return Overlap(*place, f"{len(words)}-gram", text)
        return None

    def _add(self, path: Path) -> None:
        rows = file_rows(path)
        for number, fields in rows:
            text = (
                None if isinstance(fields, Bad) else fields.get("problem", fields.get("question"))
            )
            if isinstance(fields, Bad) or not isinstance(text, str):
                raise DataError(
                    f"{rows.at(number)}: no `problem`; --decontaminate takes rows"
                    " {id, problem, ...}, as `its-eval task NAME --out FILE` writes them"
                )
            words, place = normal(text), (path.name, str(fields.get("id", number)))
            self._whole.setdefault("".join(words), place)
            self._said.append((f" {' '.join(words)} ", place))
            length = min(len(words), GRAM)
            if length >= SHORTEST:
                known = self._grams.setdefault(length, {})
                for gram in grams(words, length):
                    known.setdefault(gram, place)
        if not len(rows):
            raise DataError(f"--decontaminate {path}: has no rows, so it would leave nothing out")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        self.files.append(TestFile(path.name, len(rows), sha256))
