"""What one writing may take: time in which it waits for its turn, and time in which it is done."""

import asyncio


class WriterBudget:
    """Two limits in seconds behind one `asyncio.timeout`: `wait` for turns, `work` in all.

    A writer that is busy with others has not failed. So its slots, another proxy's lease and the
    engine's own slots are waited for at the cost of `wait` alone.
    """

    def __init__(self, limit: asyncio.Timeout, wait: float, work: float) -> None:
        self._limit = limit
        self._left = {False: wait, True: work}
        self.works = False
        """Whether the engine works on it now; if not, it waits."""
        self._since = asyncio.get_running_loop().time()
        self.turn(False)

    def turn(self, works: bool) -> None:
        """Say that the engine begins to work on it, or that it waits again."""
        now = asyncio.get_running_loop().time()
        self._left[self.works] -= now - self._since
        self.works, self._since = works, now
        self._limit.reschedule(now + self._left[works])
