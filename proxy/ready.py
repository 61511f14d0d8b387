"""Whether the engines answer. `/ready` needs no key, so it must not call them at anybody's will."""

import asyncio
import time
from collections.abc import Mapping

from .engines import Engine

FRESH_SECONDS = 1.0


class Look:
    """Asks `engines`; one look serves everybody who asks while it runs and a second after."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines
        self._looking: asyncio.Task[Mapping[str, bool]] | None = None
        self._stale = 0.0

    async def states(self) -> Mapping[str, bool]:
        """Return whether each engine answers."""
        looking = self._looking
        if looking is None or (looking.done() and time.monotonic() >= self._stale):
            looking = self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(looking)  # who asks may leave, the others still wait

    def cancel(self) -> None:
        """End the look that runs; nobody waits for it any more."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> Mapping[str, bool]:
        states = await asyncio.gather(*(engine.ready() for engine in self._engines.values()))
        self._stale = time.monotonic() + FRESH_SECONDS
        return dict(zip(self._engines, states, strict=True))
