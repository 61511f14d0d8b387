"""`POST /v1/chat/completions`: one member's answer relayed, or a panel's verdict."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from ..base import asgi
from ..base.errors import ApiError
from ..base.outcome import Outcome
from ..base.prompt import MemberPrompt
from ..base.record import Record, record_of
from ..config.settings import Member, Panel
from ..engines.engine import CHAT, EngineError
from ..panel import asking, driver
from ..panel.live import Live
from ..state import Generation
from ..telemetry import logs
from ..telemetry.tracing import outgoing, request_span, span
from ..wire import render, stream, watch
from ..wire import request as wire
from .relay import SSE, relay

KEEP_ALIVE_SECONDS = 15.0


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a chat completion: raw ASGI, because it relays bytes."""
    record, generation = record_of(scope), scope["state"]["generation"]
    limits = generation.settings.limits
    raw = await asgi.read_body(receive, record, limits)
    logs.body(record, "request", raw)
    request = wire.parse(raw, limits)
    target = generation.find_model(request.model, record.client)
    record.model, record.streamed = request.model, request.stream
    watcher = asgi.watch(receive, record)
    try:
        with request_span(record, CHAT):
            if isinstance(target, Member):
                await _member(target, request, generation, record)
            elif request.stream:
                await _PanelStream(target, request, generation, record).run()
            else:
                await _panel(target, request, generation, record)
    finally:
        watcher.cancel()


async def _member(
    member: Member, request: wire.ChatRequest, generation: Generation, record: Record
) -> None:
    wire.check_for_member(request)
    with span("persona", member=member.name):
        # What is refused is refused before a persona is written for it.
        planned = generation.contexts.plan(member, request.question, request.override)
        planned = wire.check_guarded(request, planned)
        asked = await generation.contexts.complete(planned, request.question)
    record.strategy = asked.strategy
    engine = generation.engines[member.engine]
    body = partial(_member_body, request, asked)
    retries = generation.retries(record)
    try:
        with span("call", member=member.name):
            if request.stream:
                input_time = render.describe(asked) if request.has_extras else None
                choices = watch.number(request.body)
                await relay(engine, CHAT, body, record, retries, asked, input_time, choices=choices)
                return
            headers = outgoing(record, engine.forward_headers)
            with record.asking:
                async with engine.post(CHAT, body, headers, retries) as response:
                    raw = await response.read()
                    engine.check(raw)
    except EngineError as error:
        raise error.for_client() from error
    answer = render.splice(raw, render.describe(asked))
    logs.body(record, "response", answer)
    own = render.headers(asked, record)
    await asgi.respond(record.send, answer, [*response.rate_limits, *own])


def _member_body(request: wire.ChatRequest, asked: MemberPrompt) -> tuple[bytes]:
    return (wire.member_body(request, asked),)


async def _panel(
    target: Panel, request: wire.ChatRequest, generation: Generation, record: Record
) -> None:
    outcome = await driver.drive(target, request, generation, record)
    body = _rendered(outcome, request, record)
    await asgi.respond_json(record.send, body, render.panel_headers(outcome, record))


def _rendered(outcome: Outcome, request: wire.ChatRequest, record: Record) -> dict[str, Any]:
    assert outcome.winner.asked is not None
    record.strategy = outcome.winner.asked.strategy
    input_time = render.describe_panel(outcome, request.extras.return_ballots)
    return render.panel_body(outcome, request, record, input_time)


class _PanelStream:
    """A panel's answer as a stream: a role, what is shown as it comes, the verdict."""

    def __init__(
        self, target: Panel, request: wire.ChatRequest, generation: Generation, record: Record
    ) -> None:
        self._target, self._request, self._record = target, request, record
        self._generation = generation
        self._live = Live(leads=target.stream_mode == "leader")
        created = int(time.time())
        self._head = stream.panel_head(record.request_id.decode(), request.model, created)

    async def run(self) -> None:
        voting = asyncio.ensure_future(
            driver.drive(self._target, self._request, self._generation, self._record, self._live)
        )
        try:
            await self._open(voting)
            await self._wait(voting)
            await asgi.write(self._record.send, self._ending(voting), more=False)
        finally:
            voting.cancel()
            await asyncio.gather(voting, return_exceptions=True)

    async def _open(self, voting: asyncio.Future[Outcome]) -> None:
        """Send the head; within the first second a refusal still is a status."""
        await self._until(voting, asking.HOLD_SECONDS)
        if voting.done():
            voting.result()
        headers = [*SSE, (b"x-input-time-method", self._target.method.encode())]
        await asgi.start(self._record.send, 200, headers)
        await asgi.write(self._record.send, stream.role_event(self._head), more=True)

    async def _wait(self, voting: asyncio.Future[Outcome]) -> None:
        while True:
            if voting.done():
                self._live.finish()
            await self._show()
            if voting.done():
                return
            if not await self._until(voting, KEEP_ALIVE_SECONDS):
                await asgi.write(self._record.send, stream.KEEP_ALIVE, more=True)

    async def _until(self, voting: asyncio.Future[Outcome], seconds: float) -> bool:
        """Wait for the verdict or something to show; tell whether one of them came."""
        changed = asyncio.create_task(self._live.changed.wait())
        either: list[asyncio.Future[Any]] = [voting, changed]
        try:
            done, _ = await asyncio.wait(
                either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()
        self._live.changed.clear()
        return bool(done)

    async def _show(self) -> None:
        choices = self._live.take()
        if choices:
            pieces = [stream.choice_event(self._head, choice) for choice in choices]
            await asgi.write(self._record.send, b"".join(pieces), more=True)

    def _ending(self, voting: asyncio.Future[Outcome]) -> bytes:
        try:
            body: Mapping[str, Any] = _rendered(voting.result(), self._request, self._record)
        except ApiError as error:
            self._record.error = error.reason
            return stream.error_event(error)
        usage, live = self._request.wants_usage, self._live
        return stream.verdict_events(
            self._head, body, usage, reasoned=live.reasoned, shown=live.begun
        )
