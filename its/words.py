"""The words of a text that BM25 matches."""

import re

LONGEST_READ = 16_000
"""Characters of a question that are ranked and compared: megabytes would hold up a server."""

_STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then"  # noqa: SIM905
    " there these they this to was will with you your what which who do does did"
    " has have had".split()
)
"""Lucene's list for English, the words by which every persona speaks to its reader, and words that
any question may hold."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]{2,}")
"""Chinese and Japanese, which put no spaces between words: pairs of characters stand for them."""


def words(text: str) -> list[str]:
    """Return the lower-case words of `text` that BM25 matches: no stop words, plurals folded."""
    found = [word for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]
    return [part for word in found for part in _parts(word)]


def _parts(word: str) -> list[str]:
    if _UNSPACED.fullmatch(word):
        return [word[i : i + 2] for i in range(len(word) - 1)]
    return [_fold(word)]


def _fold(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and len(word) > 3 and not word.endswith("ss"):
        return word[:-1]
    return word
