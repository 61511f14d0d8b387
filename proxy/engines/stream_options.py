"""What an engine takes as `stream_options`: found out by asking, kept as long as the engine is.

A panel wants to know what a call has cost when it is cancelled in the middle. SGLang and vLLM say
so in every chunk; others refuse a part of the field (Azure) or all of it (Mistral). Where an engine
does not say, chunks are counted (`estimated` in a ballot).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import EngineError

LEVELS: Sequence[Mapping[str, Any] | None] = (
    {"include_usage": True, "continuous_usage_stats": True},
    {"include_usage": True},
    None,
)
"""From what tells most to what every engine takes."""

REFUSALS = frozenset({400, 422})
MOST_VAIN = 10
"""An error that quotes a prompt may name the field by chance. After so many walks to the last level
that helped nothing, an engine that has taken the field before is believed to be right."""


class StreamOptions:
    """What one engine takes, as a level in `LEVELS`: the one that worked last."""

    def __init__(self) -> None:
        self.level = 0
        self._proven = False
        self._vain = 0
        self._prober: object = None

    def accept(self, level: int) -> None:
        """Note that the engine answered a request with this level."""
        if level > self.level or not self._proven:
            self.level, self._vain = max(level, self.level), 0
            self._proven = True

    def less(self, level: int | None, refusal: EngineError | None, request: object) -> int | None:
        """Return the level to ask again with; `None` where the refusal has another reason.

        A refusal that does not name the field may still be about it. Until the engine has
        answered once, the calls of *one* request at a time try without it; `request` tells which.
        """
        if level is None or refusal is None or refusal.status not in REFUSALS:
            return None
        if level == len(LEVELS) - 1:
            self._vain += 1
            return None
        if self.level > level:  # another call has found it out meanwhile
            return self.level
        if refusal.blames_options and not (self._proven and self._vain >= MOST_VAIN):
            return level + 1
        if self._proven:
            return None
        if self._prober is None:
            self._prober = request
        return level + 1 if self._prober is request else None

    def leave(self, request: object) -> None:
        """Note that a call of `request` has ended: another request may try.

        The first one may have been refused for a reason of its own.
        """
        if self._prober is request:
            self._prober = None
