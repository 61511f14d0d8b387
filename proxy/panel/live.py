"""What a panel's stream may show before the verdict: that a member answers, and, in the mode
`leader`, the reasoning of the first one while it thinks.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from its.types import Call


class Live:
    """`changed` is set when there is something new; `leads` says whether reasoning is shown."""

    def __init__(self, leads: bool) -> None:
        self.leads = leads
        self.leader: Call | None = None
        self.thinking = False
        self.changed = asyncio.Event()
        self.thought = asyncio.Event()
        self._pieces: list[str] = []

    def answer(self) -> None:
        """Note that an engine has accepted a call."""
        self.changed.set()

    def hear(self, delta: Mapping[str, Any]) -> None:
        """Take one delta of the leader's stream; it thinks until its first word of content."""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")  # SGLang; vLLM
        if isinstance(reasoning, str) and reasoning:
            self.thinking = True
            self._pieces.append(reasoning)
            self.changed.set()
        if delta.get("content"):
            self.thinking = False
            self.thought.set()

    def take(self) -> str:
        """Return the reasoning that has come since the last time."""
        reasoning = "".join(self._pieces)
        self._pieces.clear()
        return reasoning
