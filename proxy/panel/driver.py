"""The main path of a panel: plan, ask all at once, read the answers, vote."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeAlias

from its import answers
from its.answers import Judge, Kind, Watched
from its.methods import METHODS, Method
from its.types import Answer, Ballot, Call, Completion, Failure, Verdict

from ..base.errors import UpstreamError
from ..base.outcome import Outcome, Spent
from ..base.prompt import MemberPrompt
from ..base.record import Record
from ..config.settings import Panel
from ..contexts.personas import Completing
from ..engines.engine import EngineError
from ..grading import Compared, Grading, safely
from ..state import Generation
from ..telemetry.tracing import outgoing, span
from ..wire import request as wire
from .bodies import PanelBodies
from .calls import Result, complete
from .live import Live

Ask: TypeAlias = Callable[[Call], Coroutine[Any, Any, Result]]
Running: TypeAlias = dict[asyncio.Task[Result], Call]

HOLD_SECONDS = 1.0
"""How long a panel's stream keeps its status open, so that an early refusal is still a status."""

SHORT = 200
"""Characters of a text that is read at once; a longer one is read in a thread.

Reading costs the square of an answer's length where it opens many braces: 1 ms for 200 characters,
30 ms for 1,000. A panel may get 192 of them in the same moment.
"""


async def vote(
    panel: Panel,
    request: wire.ChatRequest,
    generation: Generation,
    record: Record,
    live: Live | None = None,
) -> Outcome:
    """Ask the panel's members and return the verdict.

    The panel's deadline is over everything: a member whose context is not written by then is
    late, as a call is, and answers that are not compared by then are undecided.

    Raises:
        BadRequest: the request means nothing on a panel, or breaks a member's co-design.
        TooMany: the key that asks has no slot and no place in its queue.
        UpstreamError: fewer calls than the quorum returned a completion.
    """
    deadline = time.monotonic() + panel.deadline_s
    wire.check_for_panel(request, panel)
    planned = {name: _plan(generation, request, name) for name in panel.members}
    grading = Grading(generation.graders, deadline)
    with span("persona"):
        members = await generation.contexts.complete_all(planned, request.question)
    try:
        round_ = _Round(panel, request, members, grading, live)
        await round_.run(_asking(round_, request, generation, record), deadline)
        with span("verdict", panel=panel.name):
            outcome = await round_.outcome()
    finally:
        grading.close()
        await members.close()
    generation.metrics.verdict(panel.name, outcome)
    return outcome


def _plan(generation: Generation, request: wire.ChatRequest, name: str) -> MemberPrompt:
    member = generation.settings.members[name]
    asked = generation.contexts.plan(member, request.question, request.override)
    return wire.check_guarded(request, asked)


def _asking(
    round_: "_Round", request: wire.ChatRequest, generation: Generation, record: Record
) -> Ask:
    """Return what makes one call of the round."""
    panel, live, planned = round_.panel, round_.live, round_.planned
    # A stream's status is held for a second only; after that a refusal can no longer be a status.
    retries = generation.retries(record, HOLD_SECONDS if live else None)
    bodies = PanelBodies(request)
    numbers = {call: number for number, call in enumerate(planned, 1)}

    async def ask(call: Call) -> Result:
        leads = live is not None and live.leader == call
        streamed = leads or (panel.early_stop and len(planned) > 1)
        asked = await round_.members.of(call.member)
        engine = generation.engines[asked.member.engine]
        body = partial(bodies.pieces, asked, call)
        with span("call", member=call.member, sample=call.sample), record.asking:
            headers = outgoing(record, engine.forward_headers, numbers[call])
            spent = round_.spent[call]
            level = engine.stream_options.level if streamed else None
            return await complete(call, engine, body, level, headers, retries, spent, live)

    return ask


class _Round:
    """The calls of one vote: which returned, which failed, which were not waited for."""

    def __init__(
        self,
        panel: Panel,
        request: wire.ChatRequest,
        members: Completing,
        grading: Grading,
        live: Live | None,
    ) -> None:
        self.panel, self.members, self.grading, self.live = panel, members, grading, live
        self.method: Method = METHODS[panel.method]()
        samples = request.extras.samples or panel.samples
        self.planned: Sequence[Call] = self.method.plan(panel.members, samples)
        self.spent = {call: Spent() for call in self.planned}
        self.kind = answers.kind_of(request.body, panel.answers, panel.json_keys)
        self.quorum = min(panel.quorum or len(self.planned) // 2 + 1, len(self.planned))
        self.ballots: list[Ballot] = []
        self.failures: list[Failure] = []
        self.late: list[Call] = []
        self.cancelled: list[Call] = []
        if live is not None and live.leads:
            live.leader = self.planned[0]

    async def run(self, ask: Ask, deadline: float) -> None:
        """Ask all calls at once, until the vote is settled, hopeless, or past its deadline."""
        running: Running = {asyncio.create_task(ask(call)): call for call in self.planned}
        everything = list(running)
        settling: asyncio.Task[bool] | None = None
        over = False
        try:
            while running and not over:
                done = await _first(running, settling, deadline)
                if not done:
                    break
                arrived = [task for task in done if task in running]
                for task in arrived:
                    await self._take(running.pop(task), task.result())
                if settling is not None and settling.done():
                    over, settling = settling.result(), None
                if arrived and not over:
                    await _cancel([settling] if settling else [])
                    over, settling = self._hopeless() or self._settled_at_once(), None
                    settling = None if over else self._settling()
                if over and self.live is not None and len(self.ballots) >= self.quorum:
                    await self._hear_out(self.live, running, deadline)
        finally:
            left_over = self.cancelled if over else self.late
            left_over.extend(running.values())
            await _cancel([*everything, *([settling] if settling else [])])

    async def _hear_out(self, live: Live, running: Running, deadline: float) -> None:
        """Wait until the leader, whose reasoning is being shown, has thought to its end."""
        left = max(0.0, deadline - time.monotonic())
        calls = [task for task, call in running.items() if call == live.leader]
        if calls and live.thinking:
            thought = asyncio.create_task(live.thought.wait())
            either: list[asyncio.Task[Any]] = [*calls, thought]
            try:
                await asyncio.wait(either, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                thought.cancel()

    async def _take(self, call: Call, result: Result) -> None:
        if isinstance(result, Failure):
            self.failures.append(result)
            return
        thinking = self.members.known[call.member].member.thinking
        # Reading and comparing answers may take a while; then a thread does it, as the event
        # loop serves everybody else meanwhile.
        if len(result.text) <= SHORT:
            answer = _read(result, self.kind, thinking)
        else:
            answer = await self.grading.run(partial(_read, result, self.kind, thinking))
        self.ballots.append(Ballot(result, answer))

    def _hopeless(self) -> bool:
        return len(self.planned) - len(self.failures) < self.quorum

    def _may_settle(self) -> bool:
        return len(self.ballots) >= self.quorum and self.panel.early_stop

    def _settled_at_once(self) -> bool:
        settled = partial(self._settled, self.ballots)
        return self._may_settle() and self._are_integers() and bool(safely(settled, None))

    def _settling(self) -> asyncio.Task[bool] | None:
        """Return the task that finds out whether the ballots so far settle the vote."""
        if not self._may_settle() or self._are_integers():
            return None
        settled = partial(self._settled, list(self.ballots))
        return asyncio.create_task(self.grading.settled(settled))

    def _settled(self, ballots: Sequence[Ballot], judge: Judge | None) -> bool:
        return self.method.settled(ballots, len(self.planned), judge)

    def _are_integers(self) -> bool:
        """Tell whether the answers are compared without the judge."""
        return all(b.answer is None or b.answer.integer is not None for b in self.ballots)

    async def outcome(self) -> Outcome:
        """Return the verdict on the ballots.

        Raises:
            UpstreamError: there are fewer than the quorum.
        """
        if len(self.ballots) < self.quorum:
            raise self._no_quorum()
        compared = await self._decided()
        assert compared.value is not None
        return Outcome(
            verdict=compared.value,
            asked=self.members.known,
            failures=self.failures,
            late=self.late,
            cancelled=self.cancelled,
            spent=self.spent,
            undecided=compared.undecided,
            method=self.panel.method,
            planned=len(self.planned),
        )

    async def _decided(self) -> Compared[Verdict]:
        """Return the verdict; what takes too long, or raises an error, is left undecided."""
        if self._are_integers():
            compared = Compared(safely(self._decide, None), 0)
        else:
            compared = await self.grading.decided(self._decide)
        if compared.value is None:  # what is written alike is equal
            late = Watched(lambda _: answers.Unread.EXHAUSTED, over=lambda: True)
            compared = Compared(safely(self._decide, late), len(late.undecided))
        if compared.value is None:  # the first one stands
            silent = [Ballot(ballot.completion, None) for ballot in self.ballots]
            verdict = self.method.decide(silent, self.planned, None)
            compared = Compared(verdict, len(silent))
        return compared

    def _decide(self, judge: Judge | None) -> Verdict:
        return self.method.decide(self.ballots, self.planned, judge)

    def _no_quorum(self) -> UpstreamError:
        """Return the engines' own refusal where all agree on it, else what was missing.

        A call that was cancelled because the others had already refused changes neither.
        """
        failures = self.failures
        statuses = {failure.status for failure in failures if failure.kind in _UNPAID}
        refused = all(failure.kind in _UNPAID for failure in failures)
        unpaid = refused and not self.ballots and not self.late
        causes = [f.cause for f in failures if isinstance(f.cause, EngineError)]
        settled = any(cause.settled for cause in causes)
        if unpaid and len(statuses) == 1:  # the one that asks for the longest wait
            longest = max(causes, key=lambda cause: cause.retry_seconds or 0.0)
            return longest.for_client(paid=settled)
        timed_out = bool(self.late) or any(failure.kind == "timeout" for failure in failures)
        reasons = dict.fromkeys(f"{f.call.member}: {f.detail}" for f in failures)
        late = dict.fromkeys(f"{call.member}: late" for call in self.late)
        given_up = dict.fromkeys(f"{call.member}: given up as hopeless" for call in self.cancelled)
        found = f"and got {len(self.ballots)} ({len(self.late)} late)"
        return UpstreamError(
            f"the panel {self.panel.name!r} needs {self.quorum} of {len(self.planned)} completions"
            f" {'; '.join([found, *reasons, *late, *given_up])}",
            status=504 if timed_out else 502,
            code="no_quorum",
            paid=not unpaid or settled,
        )


_UNPAID = frozenset({"status", "refused", "busy"})
"""Failures before anything was generated."""


def _read(completion: Completion, kind: Kind, thinking: bool) -> Answer | None:
    return answers.read(
        completion.choice["message"],
        kind=kind,
        finish_reason=completion.finish_reason,
        thinking=thinking,
    )


async def _first(
    running: Running, settling: asyncio.Task[bool] | None, deadline: float
) -> set[asyncio.Future[Any]]:
    """Wait for a call, or for the settling; return which are done, none at the deadline."""
    waiting: list[asyncio.Future[Any]] = [*running, *([settling] if settling else [])]
    left = max(0.0, deadline - time.monotonic())
    done, _ = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    return done


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
