"""A panel's answer to a chat: the verdict, whole or as a stream."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from ..base import asgi
from ..base.errors import ApiError
from ..base.outcome import Outcome
from ..base.record import Record
from ..config.settings import Panel
from ..panel import driver
from ..panel.live import Live
from ..state import Generation
from ..wire import render, stream
from ..wire import request as wire
from .relay import SSE

KEEP_ALIVE_SECONDS = 15.0


async def serve(
    panel: Panel, request: wire.ChatRequest, generation: Generation, record: Record
) -> None:
    """Send the verdict of `panel` to the client, whole or as a stream.

    Raises:
        BadRequest, TooMany, UpstreamError: as `vote` does, before an answer began.
    """
    if request.stream:
        await _PanelStream(panel, request, generation, record).run()
    else:
        await _whole(panel, request, generation, record)


async def _whole(
    target: Panel, request: wire.ChatRequest, generation: Generation, record: Record
) -> None:
    outcome = await driver.vote(target, request, generation, record)
    body = _rendered(outcome, request, record)
    await asgi.respond_json(record.send, body, render.panel_headers(outcome, record))


def _rendered(outcome: Outcome, request: wire.ChatRequest, record: Record) -> dict[str, Any]:
    record.strategy = outcome.asked[outcome.verdict.winner.completion.call.member].strategy
    input_time = render.describe_panel(outcome, request.extras.return_ballots)
    return render.panel_body(outcome, request, record, input_time)


class _PanelStream:
    """A panel's answer as a stream: a role, perhaps the leader's reasoning, the verdict."""

    def __init__(
        self, target: Panel, request: wire.ChatRequest, generation: Generation, record: Record
    ) -> None:
        self._target, self._request, self._record = target, request, record
        self._generation = generation
        self._live = Live(leads=target.stream_mode == "leader")
        created = int(time.time())
        self._head = stream.panel_head(record.request_id.decode(), request.model, created)
        self._reasoned = False

    async def run(self) -> None:
        voting = asyncio.ensure_future(
            driver.vote(self._target, self._request, self._generation, self._record, self._live)
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
        await self._until(voting, driver.HOLD_SECONDS)
        if voting.done():
            voting.result()
        headers = [*SSE, (b"x-input-time-method", self._target.method.encode())]
        await asgi.start(self._record.send, 200, headers)
        await asgi.write(self._record.send, stream.role_event(self._head), more=True)

    async def _wait(self, voting: asyncio.Future[Outcome]) -> None:
        while True:
            await self._show_reasoning()
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

    async def _show_reasoning(self) -> None:
        reasoning = self._live.take()
        if reasoning:
            self._reasoned = True
            piece = stream.reasoning_event(self._head, reasoning)
            await asgi.write(self._record.send, piece, more=True)

    def _ending(self, voting: asyncio.Future[Outcome]) -> bytes:
        try:
            body: Mapping[str, Any] = _rendered(voting.result(), self._request, self._record)
        except ApiError as error:
            self._record.error = error.reason
            return stream.error_event(error)
        usage = self._request.wants_usage
        return stream.verdict_events(self._head, body, usage, self._reasoned)
