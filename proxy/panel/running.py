"""The calls that run: started, ended one by one, and all ended when time or money is up."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias

from its.methods.seam import Call, Reply

from ..base.outcome import Row, Spent
from ..base.prompt import MemberPrompt

Ask: TypeAlias = Callable[[Row, int, bool], Coroutine[Any, Any, None]]
Over: TypeAlias = Literal["", "deadline", "budget"]


class Running:
    """Every call of a request as a row, in the order asked. `deadline` is monotonic.

    `over` says why nothing new may start. An end wakes who waits by one future, however many calls
    run: 192 of them cost no more to wait for than three.
    """

    def __init__(self, ask: Ask, deadline: float, counted: Callable[[], bool] | None) -> None:
        self.rows: dict[str, Row] = {}
        self.over: Over = ""
        self._ask, self._spent_up = ask, counted
        self._tasks: dict[asyncio.Task[None], Row] = {}
        self._ended: deque[asyncio.Task[None]] = deque()
        self._late: deque[Row] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        left = max(0.0, deadline - time.monotonic())
        self._timer = self._loop.call_later(left, self._end, "deadline")

    @property
    def some(self) -> bool:
        """Whether a reply is still to come."""
        return bool(self._tasks or self._late)

    def start(self, call: Call, asked: MemberPrompt, streamed: bool) -> None:
        """Start a call to a member."""
        spent = Spent(told=self._count if self._spent_up else None)
        row = Row(call, asked, spent, voices=call.role == "answer" and call.round == 0)
        self.rows[call.name] = row
        task = self._loop.create_task(self._ask(row, len(self.rows), streamed))
        self._tasks[task] = row
        task.add_done_callback(self._done)

    async def next(self) -> Row | None:
        """Return the next call that ended, or that is late; `None` where no call runs.

        Raises:
            TooMany: the key that asks has no slot and no place in its queue.
        """
        while not self._ended:
            if not self.some:
                return None
            if self.over:
                return await self._next_late()
            self._wake = self._loop.create_future()
            await self._wake
        task = self._ended.popleft()
        row = self._tasks.pop(task)
        task.result()
        if self._spent_up is not None:
            self._count()
        return row

    async def until(self, happened: asyncio.Event, name: str) -> None:
        """Wait until `happened`, unless the call `name` ends or time is up before."""
        task = next((t for t, row in self._tasks.items() if row.call.name == name), None)
        if task is None or self.over:
            return
        waiting = asyncio.ensure_future(happened.wait())
        waiting.add_done_callback(self._rouse)
        try:
            while not (waiting.done() or task.done() or self.over):
                self._wake = self._loop.create_future()
                await self._wake
        finally:
            waiting.cancel()

    async def close(self) -> None:
        """Cancel what runs; an engine stops when its client leaves."""
        self._timer.cancel()
        for row in [*self._late, *(self._tasks.values() if self.over else ())]:
            if row.reply is None:
                row.answer(Reply(row.call, "late", seconds=row.seconds))
        await self._cancel()

    async def _next_late(self) -> Row:
        """Cancel what runs, once; then return one call after the other, in the order asked."""
        if not self._late:
            late = list(self._tasks.values())
            await self._cancel()
            # What ended in the same moment has its reply.
            self._late.extend(late)
        return self._late.popleft()

    async def _cancel(self) -> None:
        if not self._tasks:
            return
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._ended.clear()

    def _done(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:
            self._ended.append(task)
            self._rouse()

    def _count(self) -> None:
        if self._spent_up is not None and self._spent_up():
            self._end("budget")

    def _end(self, why: Over) -> None:
        self.over = self.over or why
        self._rouse()

    def _rouse(self, _: object = None) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
