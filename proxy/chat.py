"""`POST /v1/chat/completions`: one member's answer relayed, or a panel's verdict."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from starlette.types import Receive, Scope, Send

from its.answers.workers import Workers

from . import asgi, panel, stream, wire
from .auth import hold_to_model
from .engines import Engine, EngineError
from .errors import ApiError, NotFound
from .personas import Asked, Contexts
from .settings import Member, Panel, Settings

HOLD_SECONDS = 1.0
"""How long a panel's stream keeps its status open, so that an early refusal is still a status."""

KEEP_ALIVE_SECONDS = 15.0
FORWARDED_HEADERS = (b"traceparent", b"tracestate")


@dataclass(slots=True)
class Service:
    """What an endpoint needs: the settings, contexts, graders, and the engines once they run."""

    settings: Settings
    contexts: Contexts
    graders: Workers
    engines: dict[str, Engine] = field(default_factory=dict)

    def find(self, name: str) -> Member | Panel:
        """Return the member or the panel behind a model name.

        Raises:
            NotFound: there is none.
        """
        target = self.settings.members.get(name) or self.settings.panels.get(name)
        if target is None:
            names = ", ".join([*self.settings.members, *self.settings.panels])
            raise NotFound(
                f"there is no model {name!r}; see /v1/models ({names})",
                param="model",
                code="model_not_found",
            )
        return target

    async def body(self, receive: Receive) -> bytes:
        return await asgi.read_body(receive, self.settings.max_body)


class Chat:
    """The raw ASGI endpoint."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = wire.parse(await self._service.body(receive))
        hold_to_model(scope, request.model)
        target = self._service.find(request.model)
        exchange = _Exchange(self._service, request, scope, send, started)
        answer = exchange.panel if isinstance(target, Panel) else exchange.member
        await asgi.while_connected(receive, answer(target))  # type: ignore[arg-type]


class _Exchange:
    """One request on its way through the proxy."""

    def __init__(
        self, service: Service, request: wire.ChatRequest, scope: Scope, send: Send, started: float
    ) -> None:
        self.service, self.request, self.send = service, request, send
        self.request_id: str = scope["state"]["request_id"]
        self.started = started
        self.engine_seconds = 0.0
        self.forwarded = {
            name.decode(): value
            for name in FORWARDED_HEADERS
            if (value := asgi.header(scope, name)) is not None
        } | {"x-request-id": self.request_id}

    # One member ---------------------------------------------------------------------------

    async def member(self, member: Member) -> None:
        wire.check_for_member(self.request)
        override = wire.override(self.request.extras)
        asked = self.service.contexts.ask(member, self.request.messages, override)
        engine = self.service.engines[member.engine]
        body = wire.member_body(self.request, asked)
        try:
            if self.request.stream:
                await self._relay(engine, body, asked)
            else:
                await self._answer(engine, body, asked)
        except EngineError as error:
            raise error.for_client() from error

    async def _answer(self, engine: Engine, body: bytes, asked: Asked) -> None:
        sent = time.perf_counter()
        raw = await engine.complete(body, self.forwarded)
        self.engine_seconds = time.perf_counter() - sent
        await asgi.respond(
            self.send, _splice(raw, wire.describe(asked)), self._headers(_about(asked))
        )

    async def _relay(self, engine: Engine, body: bytes, asked: Asked) -> None:
        input_time = wire.describe(asked) if self.request.has_extras else None
        sent = time.perf_counter()
        async with engine.post("/chat/completions", body, self.forwarded) as response:
            self.engine_seconds = time.perf_counter() - sent
            if response.content_type != "text/event-stream":
                raise EngineError("protocol", f"engine {engine.name!r} did not stream")
            await asgi.start(self.send, 200, {**_SSE, **self._headers(_about(asked))})
            try:
                async for chunk in stream.relay(response.content.iter_any(), input_time):
                    await asgi.write(self.send, chunk, more=True)
                end = b""
            except stream.Cut:
                end = _broken(EngineError("broken", f"engine {engine.name!r} cut its stream"))
            except (aiohttp.ClientError, TimeoutError) as error:
                end = _broken(engine.translate(error))
            await asgi.write(self.send, end, more=False)

    # A panel ------------------------------------------------------------------------------

    async def panel(self, target: Panel) -> None:
        if self.request.stream:
            await self._stream_verdict(target)
            return
        outcome = await self._vote(target)
        body = self._render(outcome)
        await asgi.respond_json(self.send, body, self._headers(_about_panel(outcome)))

    async def _vote(self, target: Panel) -> wire.Outcome:
        return await panel.vote(
            target,
            self.request,
            settings=self.service.settings,
            contexts=self.service.contexts,
            engines=self.service.engines,
            judge=self.service.graders.judge(),
            headers=self.forwarded,
        )

    def _render(self, outcome: wire.Outcome) -> dict[str, Any]:
        input_time = wire.describe_panel(outcome, self.request.extras)
        return wire.render_panel(outcome, self.request, self.request_id, input_time)

    async def _stream_verdict(self, target: Panel) -> None:
        voting = asyncio.ensure_future(self._vote(target))
        try:
            # Within this second a refusal still is a status; afterwards it is an error event.
            await asyncio.wait({voting}, timeout=HOLD_SECONDS)
            if voting.done():
                voting.result()
            head = stream.panel_head(self.request_id, self.request.model, int(time.time()))
            about = {"x-input-time-method": target.method}
            await asgi.start(self.send, 200, {**_SSE, **about})
            await asgi.write(self.send, stream.role_event(head), more=True)
            while not voting.done():
                await asyncio.wait({voting}, timeout=KEEP_ALIVE_SECONDS)
                if not voting.done():
                    await asgi.write(self.send, stream.KEEP_ALIVE, more=True)
            await asgi.write(self.send, self._ending(voting, head), more=False)
        finally:
            voting.cancel()
            await asyncio.gather(voting, return_exceptions=True)

    def _ending(self, voting: asyncio.Future[wire.Outcome], head: Mapping[str, Any]) -> bytes:
        try:
            body = self._render(voting.result())
        except ApiError as error:
            return stream.error_event(error)
        return stream.verdict_events(head, body, wire.wants_usage(self.request))

    def _headers(self, about: Mapping[str, str]) -> dict[str, str]:
        own_ms = (time.perf_counter() - self.started - self.engine_seconds) * 1000
        return {**about, "x-input-time-overhead-ms": f"{own_ms:.2f}"}


_SSE = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold the stream back
}


def _splice(raw: bytes, input_time: Mapping[str, Any]) -> bytes:
    """Put `input_time` into the engine's JSON object and leave every other byte as it is."""
    body, _, _ = raw.rpartition(b"}")
    return body + b',"input_time":' + msgspec.json.encode(input_time) + b"}"


def _about(asked: Asked) -> dict[str, str]:
    about = {"x-input-time-strategy": asked.strategy, "x-input-time-models-used": "1"}
    if asked.context:
        about["x-input-time-persona-source"] = asked.context.source
    return about


def _about_panel(outcome: wire.Outcome) -> dict[str, str]:
    winner = outcome.verdict.winner.completion.call.member
    asked = {ballot.completion.call.member for ballot in outcome.verdict.ballots}
    return {
        **_about(outcome.asked[winner]),
        "x-input-time-method": outcome.method,
        "x-input-time-votes": f"{outcome.votes}/{outcome.planned}",
        "x-input-time-models-used": str(len(asked)),
    }


def _broken(error: EngineError) -> bytes:
    return stream.error_event(error.for_client(paid=True))
