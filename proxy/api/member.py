"""One member's answer, on any endpoint: composed, asked for, and passed on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from its.manifest import CoDesign
from its.types import Message

from ..base import asgi, sampling
from ..base.prompt import MemberPrompt
from ..base.record import Record
from ..base.told import NO_ROWS, Told
from ..config.settings import Member
from ..engines.engine import Body, Engine
from ..engines.errors import EngineError
from ..engines.limits import Retries
from ..state import Generation
from ..telemetry import logs
from ..telemetry.tracing import outgoing, span
from ..wire import render, watch
from ..wire.contract import goes_around
from ..wire.request import Request, check_for_member
from .endpoints import Choose, Composed, Endpoint
from .relay import relay


async def serve(
    endpoint: Endpoint, member: Member, request: Request, generation: Generation, record: Record
) -> None:
    """Ask `member` and send its answer to the client, whole or as a stream.

    Raises:
        BadRequest: the request means nothing to a member, or breaks its co-design.
        TooMany: the key that asks has no slot and no place in its queue.
        UpstreamError: the engine failed before an answer began.
    """
    check_for_member(request, member, endpoint.kind)
    engine = generation.engines[member.engine]
    with span("persona", member=member.name):
        composed = await _compose(endpoint, member, request, generation)
    if composed.prompt is not None:
        record.strategy = composed.prompt.strategy
        if endpoint.kind != "tokenize":
            asked = _messages(request)
            told = record.told = Told(member, asked, record.seconds, NO_ROWS, None, composed.prompt)
            if record.streamed and generation.verdicts.looked_at(record):
                generation.verdicts.begin(record, told)
                told.pieces = []

    def body() -> tuple[bytes]:
        return (msgspec.json.encode({**composed.fields(), "model": member.model}),)

    retries = generation.retries(record)
    try:
        with span("call", member=member.name):
            if record.streamed:
                await _stream(endpoint, engine, body, request, composed, record, retries)
                return
            raw, rate_limits = await _whole(endpoint, engine, body, composed, record, retries)
    except EngineError as error:
        failure = error.for_client()
        if record.told is not None:
            record.told.error = failure.message
        raise failure from error
    if record.told is not None:
        record.told.raw = raw
    if composed.input_time is not None and raw.lstrip().startswith(b"{"):
        raw = render.splice(raw, composed.input_time)
    logs.body(record, "response", raw)
    own = render.headers(composed.prompt, record) if composed.prompt else []
    await asgi.respond(record.send, raw, [*rate_limits, *own])


def _messages(request: Request) -> Sequence[Message]:
    """Return what is asked as messages, also where the endpoint has it in another field."""
    body = request.body
    asked = body.get("messages") or body.get("input") or body.get("prompt") or ()
    if isinstance(asked, str):
        return ({"role": "user", "content": asked},)
    return [each for each in asked if isinstance(each, dict)]


async def _compose(
    endpoint: Endpoint, member: Member, request: Request, generation: Generation
) -> Composed:
    """Return what the engine gets."""
    # Before a context is chosen: what is refused must not have a persona written for it.
    bypassed = goes_around(request.body, member, endpoint.kind)
    choose: Choose = partial(generation.contexts.ask, member, override=request.override)
    if bypassed:
        choose = partial(_marked, choose)
    composed = await endpoint.compose(request, choose, generation.settings.limits)
    if composed.prompt is None and composed.input_time is not None:
        co_design = CoDesign.MISMATCH if bypassed else CoDesign.UNVERIFIED
        told = {**composed.input_time, "co_design": co_design.value}
        composed = composed._replace(input_time=told)
    return _sampled(composed, member, endpoint)


def _sampled(composed: Composed, member: Member, endpoint: Endpoint) -> Composed:
    """Return the request with the member's own sampling, where it says nothing about it."""
    if not member.defaults:
        return composed
    given = composed.fields

    def fields() -> Mapping[str, Any]:
        body = given()
        return {**body, **sampling.defaults(member, body, endpoint.kind)}

    return composed._replace(fields=fields)


async def _marked(choose: Choose, question: str | None, goes_on: bool) -> MemberPrompt:
    return replace(await choose(question, goes_on), co_design=CoDesign.MISMATCH)


async def _stream(
    endpoint: Endpoint,
    engine: Engine,
    body: Body,
    request: Request,
    composed: Composed,
    record: Record,
    retries: Retries,
) -> None:
    assert endpoint.stream is not None
    call = engine.post(endpoint.path, body, outgoing(record, engine.forward_headers), retries)
    watched = watch.Watch(endpoint.stream, watch.number(request.body))
    introduction = None
    if request.has_extras and composed.input_time is not None:
        introduction = watch.Introduction(composed.input_time, endpoint.stream)
    told = record.told
    heard = None if told is None or told.pieces is None else told.pieces.append
    await relay(engine, call, record, composed.prompt, watched, introduction, heard)


async def _whole(
    endpoint: Endpoint,
    engine: Engine,
    body: Body,
    composed: Composed,
    record: Record,
    retries: Retries,
) -> tuple[bytes, asgi.Headers]:
    """Return an answer that is not streamed, and the engine's rate limits."""
    headers = outgoing(record, engine.forward_headers)
    with record.asking:
        if adapter := engine.adapters.get(endpoint.kind):
            post = partial(engine.post, headers=headers, retries=retries)
            return await adapter(composed.fields(), post), []
        async with engine.post(endpoint.path, body, headers, retries) as response:
            raw = await response.read()
            engine.check(raw, completion=endpoint.kind == "chat")
        return raw, response.rate_limits
