"""A store that may fail: no request fails with it, and what a model wrote is not lost by it."""

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from .store import Store, StoredPersona, StoreError

REST_SECONDS = 5.0
"""After a failure the store is left alone so long, or a dead one would slow every request."""

MOST_UNKEPT = 10_000
"""Written texts that wait for the store to come back; then the oldest is given up."""

CAUGHT_UP = 100
"""Texts that one use of the store puts in at most: the request that uses it waits for them."""

_LOG = logging.getLogger("its.proxy")
T = TypeVar("T")


class CarefulStore:
    """Tries `store`, and lets it rest after a failure. Without a store, nothing is kept.

    What a model wrote while the store rested is kept here, and put into the store at its next use.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._rests_until = 0.0
        self._unkept: OrderedDict[str, StoredPersona] = OrderedDict()

    async def open(self) -> None:
        """Reach the store; if that fails, the warning comes now and not with the first request."""
        await self._try(None, lambda store: store.open())

    async def get(self, key: str) -> StoredPersona | None:
        """Return what is kept for `key`, here or in the store."""
        await self._catch_up()
        return await self._try(None, lambda store: store.get(key)) or self._unkept.get(key)

    async def keep(self, key: str, stored: StoredPersona, seconds: float | None) -> StoredPersona:
        """Keep `stored` as `Store.keep` does; a text that stands for good waits for the store."""
        kept = await self._try(None, lambda store: store.keep(key, stored, seconds))
        if kept is None and self._store is not None and seconds is None:
            self._unkept[key] = stored
            if len(self._unkept) > MOST_UNKEPT:
                self._unkept.popitem(last=False)
        return kept or stored

    def next_look(self, key: str) -> float | None:
        """Return when to ask for `key` again (monotonic), if the store does not have it yet."""
        return self._rests_until if key in self._unkept else None

    async def lease(self, key: str, seconds: float) -> bool:
        """Say whether this process may write; without a store it always may."""
        return await self._try(True, lambda store: store.lease(key, seconds))

    async def renew(self, key: str, seconds: float) -> None:
        """Make a lease last longer."""
        await self._try(None, lambda store: store.renew(key, seconds))

    async def release(self, key: str) -> None:
        """Give a lease back."""
        await self._try(None, lambda store: store.release(key))

    async def close(self) -> None:
        """Put in what waits for the store, if it can be reached, and close it."""
        if self._store is not None:
            self._rests_until = 0.0
            await self._catch_up(MOST_UNKEPT)
            await self._store.close()

    async def _catch_up(self, most: int = CAUGHT_UP) -> None:
        for key, stored in list(self._unkept.items())[:most]:
            # Not taken out before it is in: another request may ask for the key meanwhile.
            if await self._try(None, partial(_put, key=key, stored=stored)) is None:
                return
            self._unkept.pop(key, None)

    async def _try(self, instead: T, call: Callable[[Store], Awaitable[T]]) -> T:
        if self._store is None or time.monotonic() < self._rests_until:
            return instead
        try:
            return await call(self._store)
        except StoreError as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            _LOG.warning("The persona store is not used for %g s: %s", REST_SECONDS, error)
            return instead


async def _put(store: Store, key: str, stored: StoredPersona) -> StoredPersona:
    return await store.keep(key, stored, None)
