"""A panel's answer to a chat: the verdict, whole or as a stream."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from ..base import asgi
from ..base.errors import ApiError
from ..base.outcome import PanelOutcome
from ..base.record import Record
from ..config.settings import Panel
from ..panel import asking, driver
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
        BadRequest, TooMany, UpstreamError: as `driver.drive` does, before an answer began.
    """
    if request.stream:
        await _PanelStream(panel, request, generation, record).run()
    else:
        await _whole(panel, request, generation, record)


async def _whole(
    target: Panel, request: wire.ChatRequest, generation: Generation, record: Record
) -> None:
    outcome = await driver.drive(target, request, generation, record)
    body = _rendered(outcome, request, record)
    await asgi.respond_json(record.send, body, render.panel_headers(outcome, record))


def _rendered(outcome: PanelOutcome, request: wire.ChatRequest, record: Record) -> dict[str, Any]:
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

    async def _open(self, voting: asyncio.Future[PanelOutcome]) -> None:
        """Send the head; within the first second a refusal still is a status."""
        await self._until(voting, asking.HOLD_SECONDS)
        if voting.done():
            voting.result()
        headers = [*SSE, (b"x-input-time-method", self._target.method.encode())]
        await asgi.start(self._record.send, 200, headers)
        await asgi.write(self._record.send, stream.role_event(self._head), more=True)

    async def _wait(self, voting: asyncio.Future[PanelOutcome]) -> None:
        while True:
            if voting.done():
                self._live.finish()
            await self._show()
            if voting.done():
                return
            if not await self._until(voting, KEEP_ALIVE_SECONDS):
                await asgi.write(self._record.send, stream.KEEP_ALIVE, more=True)

    async def _until(self, voting: asyncio.Future[PanelOutcome], seconds: float) -> bool:
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

    def _ending(self, voting: asyncio.Future[PanelOutcome]) -> bytes:
        try:
            body: Mapping[str, Any] = _rendered(voting.result(), self._request, self._record)
        except ApiError as error:
            self._record.error = error.reason
            return stream.error_event(error)
        usage, live = self._request.wants_usage, self._live
        return stream.verdict_events(
            self._head, body, usage, reasoned=live.reasoned, shown=live.begun
        )
