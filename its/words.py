"""The words of a text that BM25 matches."""

import re

from .bm25 import STOPWORDS_EN

LONGEST_READ = 16_000
"""Characters of a question that are ranked and compared: megabytes would hold up a server."""

_STOP_WORDS = frozenset(STOPWORDS_EN) | {"you", "your"}
_WORD = re.compile(r"[a-z]{2,}")


def words(text: str) -> list[str]:
    """Return the lower-case words of `text` that BM25 matches: no stop words, plurals folded."""
    return [_fold(word) for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]


def _fold(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and len(word) > 3 and not word.endswith("ss"):
        return word[:-1]
    return word
