"""The responses (OpenAI's Responses API) that an engine keeps, and how they were asked for."""

from collections import OrderedDict
from typing import Any

from its.manifest import CoDesign

from ..config.settings import Member

MOST_KNOWN = 10_000
MOST_ID = 200
"""Characters of a response's id; a longer one is not remembered, as a client's text is not."""


class KnownResponses:
    """The responses that an engine made for members with a manifest: the last `MOST_KNOWN`.

    A later request may continue one by its id: its context is in the conversation that the engine
    keeps. Another key's response is unknown, and so is one made for other settings of the member.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Member, str, CoDesign]] = OrderedDict()

    def add(self, response_id: Any, member: Member, client: str, co_design: CoDesign) -> None:
        """Remember a response."""
        if not isinstance(response_id, str) or not 0 < len(response_id) <= MOST_ID:
            return
        self._known[response_id] = member, client, co_design
        self._known.move_to_end(response_id)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def find(self, response_id: Any, member: Member, client: str) -> CoDesign | None:
        """Return how the response was made; `None`: it is not known."""
        known = self._known.get(response_id) if isinstance(response_id, str) else None
        return known[2] if known is not None and known[:2] == (member, client) else None
