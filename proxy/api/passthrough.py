"""The other endpoints of a member's engine: an allow-list, composed where a question is asked.

`/v1/completions`, `/v1/responses` and `/tokenize` carry questions, so a context goes into them
exactly as into a chat; embeddings, rerank, score and detokenize do not. A panel answers chat
completions only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from its import prompts
from its.manifest import CoDesign
from its.sse import Reader

from ..base import asgi, guards
from ..base.errors import UNREADABLE, BadRequest
from ..base.guards import Endpoint, Made
from ..base.prompt import MemberPrompt
from ..base.record import Record, record_of
from ..config.settings import Limits, Member
from ..engines import llama
from ..engines.engine import Engine, EngineError
from ..engines.limits import Retries
from ..state import Generation
from ..telemetry import logs
from ..telemetry.tracing import outgoing, request_span
from ..wire import render, watch
from ..wire import request as wire
from .relay import relay

Ask = Callable[[str | None], Awaitable[MemberPrompt]]


@dataclass(frozen=True, slots=True)
class Composed:
    """What the engine gets, and what is said of it (`None`: nothing, the answer stays as it is)."""

    body: Mapping[str, Any]
    input_time: Mapping[str, Any] | None
    asked: MemberPrompt | None = None


Compose = Callable[[wire.Request, Ask, Limits], Awaitable[Composed]]


async def untouched(request: wire.Request, ask: Ask, limits: Limits) -> Composed:
    """Nothing is asked here."""
    return Composed(request.body, None)


async def completion(request: wire.Request, ask: Ask, limits: Limits) -> Composed:
    """A bare prompt, or each of a list, is a question; where the member takes token ids (see
    `guards`), they are forwarded and marked so.
    """
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
    return Composed(request.body, {"strategy": "tokens"})


async def responses(request: wire.Request, ask: Ask, limits: Limits) -> Composed:
    """The first user item carries the context, unless the request goes on with an earlier one."""
    body = request.body
    if any(body.get(name) is not None for name in EARLIER):
        return Composed(body, {"strategy": "inherited"})
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


EARLIER = ("previous_response_id", "conversation", "previous_input_messages", "prompt")
"""Where a request to the Responses API has its beginning somewhere else."""


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

KINDS: Mapping[Compose, Endpoint] = {
    completion: "completions", responses: "responses", tokenize: "tokenize", untouched: "other",
}  # fmt: skip


async def passthrough(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one of `ENDPOINTS`: raw ASGI, because it relays bytes."""
    record, generation = record_of(scope), scope["state"]["generation"]
    path: str = scope["path"]
    limits = generation.settings.limits
    raw = await asgi.read_body(receive, record, limits)
    logs.body(record, "request", raw)
    request = wire.parse_any(raw, limits)
    target = generation.find_model(request.model, record.client)
    if not isinstance(target, Member):
        raise BadRequest(
            f"The panel {request.model!r} answers chat completions only. Ask a single model;"
            " /v1/models lists them.",
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
    compose = ENDPOINTS[path]
    engine = generation.engines[member.engine]
    made = _Made(engine.made, member, record, request)
    composed = await _composed(compose, member, request, generation, made)
    told, asked = composed.input_time, composed.asked
    if asked is not None:
        record.strategy = asked.strategy
    body = msgspec.json.encode({**composed.body, "model": member.model})
    retries = generation.retries(record)
    keeps = compose is responses and member.manifest is not None
    try:
        if record.streamed:
            await relay(
                engine, path, body, record, retries, asked,
                told if request.has_extras else None,
                watch.RESPONSES if compose is responses else watch.COMPLETIONS,
                watch.number(request.body),
                made.hear if keeps else None,
            )  # fmt: skip
            return
        with record.asking:
            raw, rate_limits = await _whole(engine, path, body, record, retries)
    except EngineError as error:
        raise error.for_client() from error
    if keeps:
        made.read(raw)
    if told is not None and raw.lstrip().startswith(b"{"):
        raw = render.splice(raw, told)
    logs.body(record, "response", raw)
    own = render.headers(asked, record) if asked else []
    await asgi.respond(record.send, raw, [*rate_limits, *own])


async def _composed(
    compose: Compose,
    member: Member,
    request: wire.Request,
    generation: Generation,
    made: "_Made",
) -> Composed:
    """Return what the engine gets; where it carries no context of ours, how it was made is told."""
    bypassed = guards.check_fields(request.body, member, KINDS[compose], made.co_design is not None)

    async def ask(question: str | None) -> MemberPrompt:
        asked = await generation.contexts.ask(member, question, request.override)
        return replace(asked, co_design=CoDesign.MISMATCH) if bypassed else asked

    composed = await compose(request, ask, generation.settings.limits)
    if composed.asked is not None:
        made.co_design = composed.asked.co_design
    elif composed.input_time is not None:
        if bypassed or made.co_design is None:
            made.co_design = CoDesign.MISMATCH if bypassed else CoDesign.UNVERIFIED
        told = {**composed.input_time, "co_design": made.co_design.value}
        return replace(composed, input_time=told)
    return composed


async def _whole(
    engine: Engine, path: str, body: bytes, record: Record, retries: Retries
) -> tuple[bytes, asgi.Headers]:
    """Return an answer that is not streamed, and the engine's rate limits."""
    headers = outgoing(record, engine.forward_headers)
    if engine.embedded and ENDPOINTS[path] is tokenize:
        return await llama.tokenize(engine, body, headers, retries), []
    async with engine.post(path, body, headers, retries) as response:
        raw = await response.read()
        engine.check_json(raw)
    return raw, response.rate_limits


class _Made:
    """The response that a request makes, and the one that it continues, by their ids.

    `co_design` is that of the earlier one (`None`: the proxy does not know it), then of this one.
    """

    def __init__(self, made: Made, member: Member, record: Record, request: wire.Request) -> None:
        self._made, self._member = made, member
        self._client = record.client.name if record.client else ""
        earlier = request.body.get("previous_response_id")
        self.co_design = made.find(earlier, member, self._client) if earlier else None
        self._reader: Reader | None = Reader()

    def read(self, raw: bytes) -> None:
        """Note the id in a whole response."""
        self._note(_body(raw).get("id"))

    def hear(self, data: bytes) -> None:
        """Take a piece of a stream, whose first event has the response with its id."""
        if self._reader is None:
            return
        for event in self._reader.feed(data):
            response = _body(event.data).get("response")
            if isinstance(response, dict):
                self._note(response.get("id"))
                self._reader = None
                return

    def _note(self, response_id: Any) -> None:
        if self.co_design is not None:
            self._made.add(response_id, self._member, self._client, self.co_design)


def _body(raw: bytes) -> Mapping[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE:
        return {}
    return body if isinstance(body, dict) else {}
