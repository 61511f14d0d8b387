"""The endpoints of an engine that are relayed: an allow-list, composed where a question is asked.

Chats, completions and `/tokenize` carry questions, so a context goes into them; embeddings, rerank,
score and detokenize do not. A new endpoint is one line of `ENDPOINTS`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from its import prompts

from ..base.errors import BadRequest
from ..base.guards import EndpointKind
from ..base.prompt import MemberPrompt
from ..config.settings import Limits
from ..engines.engine import CHAT
from ..wire import render, watch
from ..wire import request as wire

Choose: TypeAlias = Callable[[str | None, bool], Awaitable[MemberPrompt]]
"""Chooses the member's context for a question; `None` where a request has no user message.

The second argument tells whether the question opened a chat that goes on.
"""


class Composed(NamedTuple):
    """What the engine gets, and what is said of it (`None`: nothing, the answer stays as it is).

    `fields` makes the body's fields when the call has its slot: while it waits, a long question is
    held once only.
    """

    fields: Callable[[], Mapping[str, Any]]
    input_time: Mapping[str, Any] | None
    prompt: MemberPrompt | None = None


Compose: TypeAlias = Callable[[Any, Choose, Limits], Awaitable[Composed]]
"""Puts contexts into a request, which has the type that the endpoint's `parse` returns."""


async def untouched(request: wire.Request, choose: Choose, limits: Limits) -> Composed:
    """Nothing is asked here."""
    return Composed(lambda: request.body, None)


async def chat(request: wire.ChatRequest, choose: Choose, limits: Limits) -> Composed:
    """The first user message carries the context."""
    prompt = await choose(request.question, request.goes_on)
    return _messages(request, request.messages, prompt)


async def completion(request: wire.Request, choose: Choose, limits: Limits) -> Composed:
    """A bare prompt, or each of a list, is a question; where the member takes token ids (see
    `guards`), they are forwarded and marked so.
    """
    asked = request.body.get("prompt")
    if isinstance(asked, str):
        return _text(request, asked, await choose(asked, False))
    if isinstance(asked, list) and asked and all(isinstance(text, str) for text in asked):
        return await _texts(request, asked, choose, limits)
    if not isinstance(asked, list) or not asked:
        raise BadRequest("`prompt` must be text, texts, or token ids", param="prompt")
    return Composed(lambda: request.body, {"strategy": "tokens"})


async def tokenize(request: wire.Request, choose: Choose, limits: Limits) -> Composed:
    """Messages are composed as a chat's are, or parity is checked on the wrong text."""
    if request.body.get("messages") is None:
        return await untouched(request, choose, limits)
    messages = wire.check_messages(request.body["messages"], limits)
    prompt = await choose(prompts.question(messages), prompts.goes_on(messages))
    return _messages(request, messages, prompt)


def _text(request: wire.Request, text: str, prompt: MemberPrompt) -> Composed:
    def fields() -> Mapping[str, Any]:
        composed = prompts.compose_text(text, prompt.context, prompt.layout)
        return {**request.body, "prompt": composed}

    return Composed(fields, render.describe(prompt), prompt)


async def _texts(
    request: wire.Request, texts: list[str], choose: Choose, limits: Limits
) -> Composed:
    if len(texts) > limits.messages:
        raise BadRequest(f"`prompt` has more than {limits.messages} texts", param="prompt")
    each = await asyncio.gather(*(choose(text, False) for text in texts))

    def fields() -> Mapping[str, Any]:
        composed = [
            prompts.compose_text(text, prompt.context, prompt.layout)
            for text, prompt in zip(texts, each, strict=True)
        ]
        return {**request.body, "prompt": composed}

    described = [render.describe(prompt) for prompt in each]
    return Composed(fields, {**described[0], "prompts": described}, each[0])


def _messages(request: wire.Request, messages: Any, prompt: MemberPrompt) -> Composed:
    def fields() -> Mapping[str, Any]:
        composed = prompts.compose(messages, prompt.context, prompt.layout)
        return {**request.body, "messages": composed}

    return Composed(fields, render.describe(prompt), prompt)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that is relayed: how contexts get into it, and how its streams end.

    `stream` is `None` where it never streams. `kind` says which guarded fields it has, and
    `parse` what its requests must be.
    """

    path: str
    compose: Compose = untouched
    stream: watch.StreamKind | None = None
    kind: EndpointKind = "other"
    parse: Callable[[bytes, Limits], wire.Request] = wire.parse_any


ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint(CHAT, chat, watch.CHAT, "chat", wire.parse),
        Endpoint("/v1/completions", completion, watch.COMPLETIONS, "completions"),
        Endpoint("/tokenize", tokenize, kind="tokenize"),
        Endpoint("/v1/tokenize", tokenize, kind="tokenize"),
        *(
            Endpoint(root + name)
            for root in ("", "/v1")
            for name in ("/embeddings", "/rerank", "/score", "/detokenize")
        ),
    )
}
"""By path; `doors.DOORS` has those that become chats. All other paths are 404."""
