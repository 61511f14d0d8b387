"""Which of many short texts are much alike: a set of personas that repeats itself is no set.

Two texts are twins if they share most of their words (Jaccard index). Each text is kept as a
bitmap of 64 bytes, so that a new one is compared with all of a large set in milliseconds.
"""

import zlib

import numpy as np
import numpy.typing as npt

from ..words import words

ALIKE = 0.77
"""Share of the words of two texts that both have, from which on they are twins: of eight words that
carry meaning, seven are the same (7 of 9 in all)."""

_BITS = 512


class Twins:
    """The texts of a set, as far as is needed to tell whether another one is much like them."""

    def __init__(self) -> None:
        self._maps = np.zeros((_BITS // 64, 64), np.uint64)  # a column is a text: fast sums
        self._sizes = np.zeros(64, np.int64)
        self._count = 0

    def add(self, text: str) -> bool:
        """Add `text` and return true, or return false if it is a twin of one that is there."""
        bits = _bits(text)
        size = int(np.bitwise_count(bits).sum())
        there, sizes = self._maps[:, : self._count], self._sizes[: self._count]
        shared = np.bitwise_count(there & bits[:, None]).sum(axis=0, dtype=np.int64)
        if (shared >= ALIKE * (sizes + size - shared)).any():
            return False
        if self._count == len(self._sizes):
            self._maps = np.concatenate([self._maps, np.zeros_like(self._maps)], axis=1)
            self._sizes = np.concatenate([self._sizes, np.zeros_like(self._sizes)])
        self._maps[:, self._count], self._sizes[self._count] = bits, size
        self._count += 1
        return True


def _bits(text: str) -> npt.NDArray[np.uint64]:
    marks = np.zeros(_BITS, np.uint8)
    # Not `hash`: it differs between processes, and so would the texts that a run refuses.
    marks[[zlib.crc32(word.encode()) % _BITS for word in words(text)]] = 1
    return np.packbits(marks).view(np.uint64)
