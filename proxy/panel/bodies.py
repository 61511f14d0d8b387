"""The bodies of a panel's calls: one request becomes many, which share all but a few bytes."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from its import prompts, seeds
from its.methods.drafts import limited
from its.methods.seam import Call
from its.types import Message

from ..base.prompt import MemberPrompt
from ..base.sampling import defaults
from ..config.settings import Member
from ..engines.stream_options import LEVELS
from ..wire.request import ChatRequest
from .cases import longest

OF_A_CALL = frozenset({"model", "messages", "stream", "stream_options", "seed", "rid"})
"""Fields that the driver sets itself; a method may not."""

CONTINUES = {"continue_final_message": True, "add_generation_prompt": False}
"""SGLang, vLLM and llama.cpp go on with the last message then. llama.cpp returns it as well."""

_Key: TypeAlias = tuple[str, str, int | None, str | None, frozenset[str]]


class PanelBodies:
    """The bodies of a panel's calls. What they share is encoded once for each member.

    `pieces` are not joined: 64 samples of a long question would hold it 64 times.
    """

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._shared: dict[_Key, tuple[bytes, object]] = {}

    def pieces(self, asked: MemberPrompt, call: Call, level: int | None) -> tuple[bytes, bytes]:
        """Return one call, with a sampling seed and a request id of its own, in two pieces.

        A call that may be cancelled is streamed, because only a stream says what it has cost by
        then. `level` is its `stream_options` (an index of `LEVELS`); `None`: it is not streamed.
        """
        if call.messages is not None:
            call = self._fitting(asked.member, call)
        own: dict[str, Any] = {"stream": level is not None}
        if level is not None and LEVELS[level] is not None:
            own["stream_options"] = LEVELS[level]
        if call.params:
            own |= {name: value for name, value in call.params.items() if value is not None}
        body = self._request.body
        if isinstance(seed := body.get("seed"), int):
            own["seed"] = seeds.derive("sampling", seed, call.name, self._request.question or "")
        if isinstance(rid := body.get("rid"), str):
            own["rid"] = f"{rid}-{call.name}"
        if call.prefix:
            own |= CONTINUES
        return self._head(asked, call), b"," + msgspec.json.encode(own)[1:]

    def _fitting(self, member: Member, call: Call) -> Call:
        """Return `call`, whose own messages may leave less room than the client asks for."""
        body = {**self._request.body, **call.params}
        body |= defaults(member, body)
        return limited(call, member.context_tokens, longest(body))

    def _head(self, asked: MemberPrompt, call: Call) -> bytes:
        """Return what calls of a member with the same messages and parameters share."""
        messages = None if call.messages is None else id(call.messages)
        persona = asked.context.persona if asked.context else ""
        key = asked.member.name, persona, messages, call.prefix, frozenset(call.params)
        if key not in self._shared:
            # The messages stay with their id: another object may get it once they are gone.
            self._shared[key] = self._encode(asked, call), call.messages
        return self._shared[key][0]

    def _encode(self, asked: MemberPrompt, call: Call) -> bytes:
        """Return a JSON object without its closing brace."""
        left_out = OF_A_CALL | call.params.keys()
        if call.prefix or call.messages is not None:
            # A client that has its own last turn continued does not mean a later turn of ours.
            left_out |= CONTINUES.keys()
        body = {**self._request.body, **call.params}
        given = {**body, **defaults(asked.member, body)}
        kept = {k: v for k, v in given.items() if k not in left_out}
        return msgspec.json.encode(
            {**kept, "model": asked.member.model, "messages": self._messages(asked, call)}
        )[:-1]

    def _messages(self, asked: MemberPrompt, call: Call) -> Sequence[Message]:
        given = self._request.messages if call.messages is None else call.messages
        composed = prompts.compose(given, asked.context, asked.layout)
        if not call.prefix:
            return composed
        return [*composed, {"role": "assistant", "content": call.prefix}]


def unsettable(params: Mapping[str, Any]) -> str | None:
    """Return a field among a call's parameters that only the driver sets."""
    return next((name for name in params if name in OF_A_CALL), None)
