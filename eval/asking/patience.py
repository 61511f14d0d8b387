"""How long calls wait for a server that is away or busy: long enough for an engine to restart."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 300.0
"""Seconds; loading 32 billion weights and capturing CUDA graphs takes some minutes."""

SHOWN_AFTER = 3.0
"""Seconds; a shorter wait is not worth a word."""


class ServerAway(Exception):
    """Nobody had an answer for as long as a call may wait: the run is to stop."""


class Patience:
    """Shared by all calls of a run: who waits since when, and when an answer came last."""

    def __init__(
        self, seconds: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._since: dict[object, float] = {}
        self._answered = clock()

    @contextmanager
    def call(self) -> Iterator["Waiting"]:
        """Yield what one call says of its tries; when it ends it waits no more."""
        waiting = Waiting(self)
        try:
            yield waiting
        finally:
            self._since.pop(waiting, None)

    def begin(self, who: object) -> float:
        """Note that `who` found the server away; return the seconds that it has waited."""
        return self._clock() - self._since.setdefault(who, self._clock())

    def end(self, who: object) -> None:
        """Note that the server is there."""
        self._since.pop(who, None)
        self._answered = self._clock()

    def is_away_since(self, who: object) -> bool:
        """Tell whether nobody had an answer since `who` began to wait."""
        return self._answered <= self._since[who]

    def told(self) -> str | None:
        """Return "waiting for the server, 40 s of 300", if that is what the run does now."""
        if not self._since:
            return None
        waited = self._clock() - max(min(self._since.values()), self._answered)
        if waited < SHOWN_AFTER:
            return None
        return f"waiting for the server, {waited:.0f} s of {self.seconds:.0f}"


class Waiting:
    """One call's view of the patience."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def is_there(self) -> None:
        """Note that the server answered."""
        self._patience.end(self)

    def seconds_left(self) -> float:
        """Note that the server was away once more; return how long the call may still wait.

        Raises:
            ServerAway: the time is over, and no other call had an answer meanwhile.
        """
        left = self._patience.seconds - self._patience.begin(self)
        if left <= 0 and self._patience.is_away_since(self):
            raise ServerAway(f"no answer from the server for {self._patience.seconds:.0f} s")
        return left
