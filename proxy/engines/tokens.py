"""Tokens that a key may spend in a minute, counted in what engines answer, relayed or not.

An answer is not decoded for it: its usage is looked for in the bytes. In a text the quotes of
`"total_tokens"` are escaped, so that no model can write its own bill.
"""

import re
import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 60.0
OVERLAP = 64
"""Bytes that are looked at again, as a piece may end within a number."""

_TOTAL = re.compile(rb'"total_tokens"\s*:\s*(\d{1,12})(?=\D)')
_EVENT = re.compile(rb"(?:^|[\r\n])data:")


class TokenRate:
    """The tokens of one key in the last minute; `clock` is monotonic."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self._clock = limit, clock
        self._spent: deque[tuple[float, int]] = deque()
        self._sum = 0

    def spend(self, tokens: int) -> None:
        """Count tokens, which are known only when an answer has come."""
        self._spent.append((self._clock(), tokens))
        self._sum += tokens

    def wait(self) -> float:
        """Return the seconds until the key may ask again; 0: it may now."""
        now = self._clock()
        while self._spent and self._spent[0][0] <= now - WINDOW_SECONDS:
            self._sum -= self._spent.popleft()[1]
        left = self._sum
        for at, tokens in self._spent:
            if left < self.limit:
                return 0.0
            left -= tokens
            if left < self.limit:
                return at + WINDOW_SECONDS - now
        return 0.0


class Tally:
    """Counts the tokens of one engine's answer as its bytes come."""

    def __init__(self, rate: TokenRate) -> None:
        self._rate, self._tail = rate, b""
        self._total = self._events = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes. A stream may say its usage in every chunk: the largest counts."""
        seen = self._tail + data
        for found in _TOTAL.finditer(seen):
            self._total = max(self._total, int(found[1]))
        self._events += len(_EVENT.findall(data))
        self._tail = seen[-OVERLAP:]

    def close(self) -> None:
        """Count what was found; an engine that says nothing has sent about a token an event."""
        if spent := self._total or self._events:
            self._rate.spend(spent)
