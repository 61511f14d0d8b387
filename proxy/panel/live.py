"""What a panel's stream may show before the verdict: that a member answers; the call that will be
the answer; and, in the mode `leader`, the reasoning of the first call while it thinks.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from its.methods.seam import Call

from ..engines.collect import Heard

REASONING = ("reasoning_content", "reasoning")
"""What SGLang and vLLM call the text that a model thinks in."""


class Live:
    """`changed` is set when there is something new; `leads` says whether reasoning is shown."""

    def __init__(self, leads: bool) -> None:
        self.leads = leads
        self.thinking = self.begun = self.reasoned = False
        """The leader thinks; something of the shown call was taken; so was reasoning."""
        self.changed = asyncio.Event()
        self.thought = asyncio.Event()
        self._leader: Call | None = None
        self._prefix = self._held = ""
        self._thought_before = False
        self._choices: list[Mapping[str, Any]] = []

    def begin(self, calls: list[Call]) -> None:
        """Take the first calls of a request: the first of them leads."""
        if self.leads and self._leader is None and calls:
            self._leader = calls[0]

    @property
    def leads_by(self) -> str | None:
        """The name of the call that leads, if one does."""
        return self._leader.name if self._leader else None

    def hears(self, call: Call) -> Heard | None:
        """Return what takes the choices of the call's stream; `None`: nothing of it is shown."""
        if call.shown:
            self._prefix = call.prefix or ""
            self._thought_before = call.thoughts is not None
            return partial(self._show, call)
        return self._lead if call.name == self.leads_by else None

    def answer(self) -> None:
        """Note that an engine has accepted a call."""
        self.changed.set()

    def take(self) -> list[Mapping[str, Any]]:
        """Return the choices of chunks that have come since the last time."""
        choices, self._choices = self._choices, []
        return choices

    def finish(self) -> None:
        """Show what was held back of the shown call, which has ended."""
        if self._held:
            self._put({"content": self._before + self._held})
        self._prefix = self._held = ""

    @property
    def _before(self) -> str:
        """What the client has not seen of the prefix: thoughts go out on their own."""
        return "" if self._thought_before else self._prefix

    def _show(self, call: Call, choice: Mapping[str, Any]) -> None:
        """Take a choice of the shown call."""
        delta = choice.get("delta") or {}
        said = {name: value for name, value in delta.items() if name != "role" and value}
        if self.reasoned and self._leader is not None:
            said = {name: value for name, value in said.items() if name not in REASONING}
        if not said:
            return
        if call.thoughts and not self.begun:
            self._put({REASONING[0]: call.thoughts})
        self.begun = True
        if self._prefix:
            said = self._continued(said)
        if said:
            more = {"logprobs": choice["logprobs"]} if choice.get("logprobs") else {}
            self._put(said, **more)

    def _continued(self, said: dict[str, Any]) -> dict[str, Any]:
        """Put the prefix before the first text, unless the engine returns it: llama.cpp does.

        A text that may still be the beginning of the prefix is held back.
        """
        text = self._held + str(said.pop("content", ""))
        if len(text) < len(self._prefix) and self._prefix.startswith(text):
            self._held = text
            return said
        content = self._before + text.removeprefix(self._prefix)
        self._prefix = self._held = ""
        return {**said, "content": content} if content else said

    def _lead(self, choice: Mapping[str, Any]) -> None:
        """Take a choice of the leader; it thinks until its first word of content."""
        delta = choice.get("delta") or {}
        reasoning = next((delta[name] for name in REASONING if delta.get(name)), None)
        if isinstance(reasoning, str):
            self.thinking = self.reasoned = True
            self._put({"reasoning_content": reasoning})
        if delta.get("content"):
            self.thinking = False
            self.thought.set()

    def _put(self, delta: Mapping[str, Any], **more: Any) -> None:
        self._choices.append({"index": 0, "delta": delta, **more, "finish_reason": None})
        self.changed.set()
