"""The other endpoints of a member's engine: an allow-list, composed where a question is asked.

`/v1/completions`, `/v1/responses` and `/tokenize` carry questions, so a context goes into them
exactly as into a chat; embeddings, rerank, score and detokenize do not. A panel answers chat
completions only.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from its import prompts

from . import asgi, llama, logs, render, stream, wire
from .asked import Asked
from .auth import hold_to_model
from .engines import EngineError
from .errors import BadRequest
from .record import Record, record_of
from .relay import relay
from .service import Generation
from .settings import Limits, Member
from .tracing import outgoing, request_span

Ask = Callable[[str | None], Awaitable[Asked]]


@dataclass(frozen=True, slots=True)
class Composed:
    """What the engine gets, and what is said of it (`None`: nothing, the answer stays as it is)."""

    body: Mapping[str, Any]
    input_time: Mapping[str, Any] | None
    asked: Asked | None = None


Compose = Callable[[wire.Request, Ask, Limits], Awaitable[Composed]]


async def untouched(request: wire.Request, ask: Ask, limits: Limits) -> Composed:
    """Nothing is asked here."""
    return Composed(request.body, None)


async def completion(request: wire.Request, ask: Ask, limits: Limits) -> Composed:
    """A bare prompt, or each of a list, is a question; token ids are forwarded and marked so."""
    prompt = request.body.get("prompt")
    if isinstance(prompt, str):
        asked = await ask(prompt)
        text = prompts.compose_text(prompt, asked.context, asked.layout)
        return Composed({**request.body, "prompt": text}, render.describe(asked), asked)
    if isinstance(prompt, list) and prompt and all(isinstance(p, str) for p in prompt):
        if len(prompt) > limits.messages:
            raise BadRequest(f"`prompt` has more than {limits.messages} texts", param="prompt")
        each = await asyncio.gather(*map(ask, prompt))
        composed = [
            prompts.compose_text(text, asked.context, asked.layout)
            for text, asked in zip(prompt, each, strict=True)
        ]
        told = {**render.describe(each[0]), "prompts": [render.describe(asked) for asked in each]}
        return Composed({**request.body, "prompt": composed}, told, each[0])
    if not isinstance(prompt, list) or not prompt:
        raise BadRequest("`prompt` must be text, texts, or token ids", param="prompt")
    return Composed(request.body, {"strategy": "tokens", "co_design": "unverified"})


async def responses(request: wire.Request, ask: Ask, limits: Limits) -> Composed:
    """The first user item carries the context, unless the request goes on with an earlier one."""
    body = request.body
    if body.get("previous_response_id") is not None or body.get("conversation") is not None:
        return Composed(body, {"strategy": "inherited", "co_design": "unverified"})
    question = body.get("input")
    if isinstance(question, str):
        asked = await ask(question)
        text = prompts.compose_text(question, asked.context, asked.layout)
        return Composed({**body, "input": text}, render.describe(asked), asked)
    if not isinstance(question, list) or not all(isinstance(item, dict) for item in question):
        raise BadRequest("`input` must be text or a list of items", param="input")
    asked = await ask(prompts.question(question))
    items = prompts.compose(question, asked.context, asked.layout, part="input_text")
    return Composed({**body, "input": items}, render.describe(asked), asked)


async def tokenize(request: wire.Request, ask: Ask, limits: Limits) -> Composed:
    """Messages are composed as a chat's are, or parity is checked on the wrong text."""
    if request.body.get("messages") is None:
        return await untouched(request, ask, limits)
    messages = wire.check_messages(request.body["messages"], limits)
    asked = await ask(prompts.question(messages))
    composed = prompts.compose(messages, asked.context, asked.layout)
    return Composed({**request.body, "messages": composed}, render.describe(asked), asked)


ENDPOINTS: Mapping[str, Compose] = {
    "/v1/completions": completion,
    "/v1/responses": responses,
    "/responses": responses,
    "/tokenize": tokenize,
    "/v1/tokenize": tokenize,
    **{
        root + path: untouched
        for root in ("", "/v1")
        for path in ("/embeddings", "/rerank", "/score", "/detokenize")
    },
}
"""Paths that are passed on; all others are 404."""


async def passthrough(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one of `ENDPOINTS`: raw ASGI, because it relays bytes."""
    record, generation = record_of(scope), scope["state"]["generation"]
    path: str = scope["path"]
    limits = generation.settings.limits
    raw = await asgi.read_body(receive, record, limits)
    logs.body(record, "request", raw)
    request = wire.parse_any(raw, limits)
    hold_to_model(record, request.model)
    target = generation.find(request.model)
    if not isinstance(target, Member):
        first = target.members[0]
        raise BadRequest(
            f"the panel {request.model!r} answers chat completions only; ask a member of it, for"
            f" instance {first!r}",
            param="model",
        )
    record.model = request.model
    record.streamed = request.stream and ENDPOINTS[path] in (completion, responses)
    watcher = asgi.watch(receive, record)
    try:
        with request_span(record, path):
            await _serve(path, target, request, generation, record)
    finally:
        watcher.cancel()


async def _serve(
    path: str, member: Member, request: wire.Request, generation: Generation, record: Record
) -> None:
    wire.check_for_member(request)
    wire.hold_doors(request, member)  # also where nothing is asked, and so no context put in front
    limits = generation.settings.limits

    async def ask(question: str | None) -> Asked:
        asked = await generation.contexts.ask(member, question, request.override)
        return wire.pass_doors(request, asked)

    composed = await ENDPOINTS[path](request, ask, limits)
    if composed.asked is not None:
        record.strategy = composed.asked.strategy
    engine = generation.engines[member.engine]
    body = msgspec.json.encode({**composed.body, "model": member.model})
    retries = generation.retries(record)
    try:
        if record.streamed:
            told = composed.input_time if request.has_extras else None
            kind = stream.RESPONSES if ENDPOINTS[path] is responses else stream.COMPLETIONS
            await relay(engine, path, body, record, retries, composed.asked, told, kind)
            return
        sent = time.perf_counter()
        if engine.embedded and ENDPOINTS[path] is tokenize:
            raw = await llama.tokenize(engine, body, outgoing(record), retries)
        else:
            async with engine.post(path, body, outgoing(record), retries) as response:
                raw = await response.read()
        record.engine_seconds = time.perf_counter() - sent
        engine.check_json(raw)
    except EngineError as error:
        raise error.for_client() from error
    if composed.input_time is not None and raw.lstrip().startswith(b"{"):
        raw = render.splice(raw, composed.input_time)
    logs.body(record, "response", raw)
    own = render.headers(composed.asked, record) if composed.asked else []
    await asgi.respond(record.send, raw, own)
