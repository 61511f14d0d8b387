"""What was used last, bounded in bytes: text that others write must not decide how much we hold."""

import sys
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ENTRY = 400
"""Bytes of an entry beside its texts: its place in the dictionary, and small objects."""


class Recent(Generic[K, V]):
    """A mapping that forgets what was used least recently; several threads need a lock around it.

    The values hold at most `most` bytes, as their `size` says when they are kept. A value that is
    larger than a hundredth of that is not kept at all, so that no single one empties the memory.
    """

    def __init__(self, most: int) -> None:
        self._left, self._largest = most, most // 100
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return what is kept for `key`, or `None`."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: K, value: V, size: int) -> None:
        """Keep `value`, which takes `size` bytes together with its key; see `text_size`."""
        size += ENTRY
        if size > self._largest:
            return
        if old := self._kept.pop(key, None):
            self._left += old[1]
        self._kept[key] = value, size
        self._left -= size
        while self._left < 0:
            _, (_, freed) = self._kept.popitem(last=False)
            self._left += freed


def text_size(*texts: str | None) -> int:
    """Return the bytes that `texts` take: one with an emoji has four for each character."""
    return sum(sys.getsizeof(text) for text in texts if text is not None)
