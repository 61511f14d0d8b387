"""The bodies of a panel's calls: one request becomes many, which share all but a few bytes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from its import prompts, seeds
from its.types import Call

from ..base.prompt import MemberPrompt
from ..engines.stream_options import LEVELS
from ..wire.request import ChatRequest

OF_A_CALL = frozenset({"messages", "stream", "stream_options"})


class PanelBodies:
    """The bodies of a panel's calls. What they share is encoded once for each member.

    `pieces` are not joined: 64 samples of a long question would hold it 64 times.
    """

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._shared: dict[str, bytes] = {}

    def pieces(self, asked: MemberPrompt, call: Call, level: int | None) -> tuple[bytes, bytes]:
        """Return one call, with a sampling seed and a request id of its own, in two pieces.

        A call that may be cancelled is streamed, because only a stream says what it has cost by
        then. `level` is its `stream_options` (an index of `LEVELS`); `None`: it is not streamed.
        """
        own: dict[str, Any] = {"stream": level is not None}
        if level is not None and LEVELS[level] is not None:
            own["stream_options"] = LEVELS[level]
        body = self._request.body
        if isinstance(seed := body.get("seed"), int):
            question = self._request.question or ""
            own["seed"] = seeds.derive("sampling", seed, call.member, call.sample, question)
        if isinstance(rid := body.get("rid"), str):
            own["rid"] = f"{rid}-{call.member}-{call.sample}"
        if call.member not in self._shared:
            self._shared[call.member] = self._encode(asked, own)
        return self._shared[call.member], b"," + msgspec.json.encode(own)[1:]

    def _encode(self, asked: MemberPrompt, own: Mapping[str, Any]) -> bytes:
        """Return what all calls of a member share: a JSON object without its closing brace."""
        request = self._request
        kept = {k: v for k, v in request.body.items() if k not in own and k not in OF_A_CALL}
        messages = prompts.compose(request.messages, asked.context, asked.layout)
        encoded = msgspec.json.encode({**kept, "model": asked.member.model, "messages": messages})
        return encoded[:-1]
