"""What chats began with, kept over reloads: no reload changes a context in the middle of a chat.

A request brings the whole chat and no id of it, so the opening question stands for the chat.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from its.recent import Recent, text_size
from its.strategies import Options, Shelf
from its.types import Context

MEMORY = 32 << 20
"""Bytes of contexts kept in memory."""

BEGUN = 16 << 20
"""Bytes of what chats began with: some 35,000 of them, used last."""

VERSIONS = 4
"""Shelves that are kept for chats which began with them; older chats go on with the newest."""

ChatKey: TypeAlias = bytes
"""A SHA-256 of (strategy, seed, member, opening question): long questions take no more memory."""


@dataclass(frozen=True, slots=True)
class Begun:
    """All but its key that decides a chat's context: a version of the shelf, and the options."""

    version: int
    options: Options | None


@dataclass(frozen=True, slots=True)
class KeptContext:
    """A context, what its chat began with, the configuration that chose it (`epoch`), and until
    when it stands (monotonic)."""

    context: Context
    begun: Begun
    epoch: int
    until: float


class Chats:
    """Remembers contexts, and which version of the shelf each chat began with."""

    def __init__(self) -> None:
        self._contexts: Recent[ChatKey, KeptContext] = Recent(MEMORY)
        self._begun: Recent[ChatKey, Begun] = Recent(BEGUN)
        self._shelves: OrderedDict[int, Shelf] = OrderedDict()
        self._hashes: dict[int, tuple[str, ...]] = {}
        self._epochs = 0

    def epoch(self) -> int:
        """Return the number of a new configuration."""
        self._epochs += 1
        return self._epochs

    def version(self, shelf: Shelf) -> int:
        """Return the version of `shelf`: a new one, unless nothing in it has changed."""
        hashes = shelf.hashes
        for version, known in self._hashes.items():
            if known == hashes:
                self._shelves.move_to_end(version)
                return version
        version = max(self._shelves, default=0) + 1
        self._shelves[version], self._hashes[version] = shelf, hashes
        if len(self._shelves) > VERSIONS:
            oldest, _ = self._shelves.popitem(last=False)
            del self._hashes[oldest]
        return version

    def shelf(self, version: int) -> Shelf | None:
        """Return the shelf of that version, if it is still kept."""
        return self._shelves.get(version)

    def begin(self, key: ChatKey, fresh: Begun, goes_on: bool) -> Begun:
        """Return what a chat began with: `fresh`, unless it goes on and is known.

        A chat that opens anew with a known question takes the newest: a question that is measured
        again after a reload must show what is served now.
        """
        known = self._begun.get(key) if goes_on else None
        if known is not None and known.version in self._shelves:
            return known
        self._begun.keep(key, fresh, len(key))
        return fresh

    def context(self, key: ChatKey, fresh: Begun, epoch: int, goes_on: bool) -> KeptContext | None:
        """Return what is remembered: for a chat that begins, only what this configuration chose."""
        found = self._contexts.get(key)
        if found is None or goes_on or (found.epoch == epoch and found.begun == fresh):
            return found
        return None

    def keep(self, key: ChatKey, kept: KeptContext) -> None:
        """Remember a context."""
        self._contexts.keep(key, kept, text_size(kept.context.persona) + len(key))
