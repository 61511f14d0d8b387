"""BM25, which ranks texts against a question (Robertson and Zaragoza, *The Probabilistic Relevance
Framework: BM25 and Beyond*, 2009), with the inverse document frequency of Lucene (never negative).

Own code because it is shorter than a dependency: libraries for it start JAX or numba where these
are installed, or rank in an order that depends on the machine.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Scores: TypeAlias = npt.NDArray[np.float64]

K1, B = 1.5, 0.75
"""How soon a repeated word stops counting, and how much a long text is held against it."""


class BM25:
    """An index of `texts`, each given as its words. Nothing changes after construction."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._number = len(texts)
        found: dict[str, list[tuple[int, int]]] = {}
        for row, words in enumerate(texts):
            for word, times in Counter(words).items():
                found.setdefault(word, []).append((row, times))
        lengths = np.array([len(words) for words in texts], np.float64)
        norm = K1 * (1 - B + B * lengths / max(1.0, lengths.mean() if len(texts) else 1.0))
        self._postings = {word: self._weigh(rows, norm) for word, rows in found.items()}

    def _weigh(
        self, found: list[tuple[int, int]], norm: Scores
    ) -> tuple[npt.NDArray[np.intp], Scores]:
        rows = np.array([row for row, _ in found], np.intp)
        times = np.array([times for _, times in found], np.float64)
        rare = math.log(1 + (self._number - len(found) + 0.5) / (len(found) + 0.5))
        return rows, rare * times / (times + norm[rows])

    def scores(self, words: Iterable[str]) -> Scores:
        """Return each text's score (>= 0) for `words`, each of which counts once.

        Words are added in their own order, so that equal questions get equal bits.
        """
        scores = np.zeros(self._number)
        for word in dict.fromkeys(words):
            if (posting := self._postings.get(word)) is not None:
                rows, weights = posting
                scores[rows] += weights
        return scores
