"""Whether the engines answer. `/ready` needs no key, so it must not call them at anybody's will."""

import asyncio
import logging
import time
from collections.abc import Mapping

from .engine import Engine

FRESH_SECONDS = 1.0
_LOG = logging.getLogger("its.proxy")


class Readiness:
    """Asks `engines`; one look serves everybody who asks while it runs and a second after."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines
        self._looking: asyncio.Task[Mapping[str, str | None]] | None = None
        self._reporting: asyncio.Task[None] | None = None
        self._stale = 0.0

    async def faults(self) -> Mapping[str, str | None]:
        """Return what is wrong with each engine; `None` for one that answers."""
        looking = self._looking
        # `/ready` needs no key: without this every caller could have every engine asked.
        if looking is None or (looking.done() and time.monotonic() >= self._stale):
            looking = self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(looking)  # who asks may leave, the others still wait

    def report(self) -> None:
        """Look once, in the background, and write into the log which engines do not answer."""
        self._reporting = asyncio.create_task(self._report())

    def cancel(self) -> None:
        """End the looks that run; nobody waits for them any more."""
        for task in (self._looking, self._reporting):
            if task is not None:
                task.cancel()

    async def _look(self) -> Mapping[str, str | None]:
        faults = await asyncio.gather(*(engine.fault() for engine in self._engines.values()))
        self._stale = time.monotonic() + FRESH_SECONDS
        return dict(zip(self._engines, faults, strict=True))

    async def _report(self) -> None:
        for name, fault in (await self.faults()).items():
            if fault is not None:
                _LOG.warning("Engine %r is not ready: it %s.", name, fault)
