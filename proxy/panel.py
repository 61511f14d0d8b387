"""The main path of a panel: plan, ask all at once, read the answers, vote."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeAlias

from its import answers
from its.answers import Judge, Sample, Unread
from its.methods import METHODS, Method
from its.types import Answer, Ballot, Call, Completion, Failure

from . import wire
from .asked import Asked
from .collect import Collector
from .engines import CHAT, Engine, EngineError
from .errors import UpstreamError
from .limits import Retries
from .live import Live
from .outcome import Outcome, Spent
from .record import Record
from .service import Generation
from .settings import Panel
from .tracing import outgoing, span

Result: TypeAlias = Completion | Failure
Ask: TypeAlias = Callable[[Call], Coroutine[Any, Any, Result]]
Running: TypeAlias = dict[asyncio.Task[Result], Call]

HOLD_SECONDS = 1.0
"""How long a panel's stream keeps its status open, so that an early refusal is still a status."""

SHORT = 4000
"""Characters of a text that is read at once; a longer one is read in a thread."""


async def vote(
    panel: Panel,
    request: wire.ChatRequest,
    generation: Generation,
    record: Record,
    live: Live | None = None,
) -> Outcome:
    """Ask the panel's members and return the verdict.

    Raises:
        BadRequest: the request means nothing on a panel, or breaks a member's co-design.
        UpstreamError: fewer calls than the quorum returned a completion.
    """
    wire.check_for_panel(request, len(panel.members))
    limits, members = generation.settings.limits, generation.settings.members
    contexts, question, override = generation.contexts, request.question, request.override
    with span("persona"):
        wanted = [members[name] for name in panel.members]
        found = await contexts.ask_all(wanted, question, override)
        asked = {name: wire.pass_doors(request, each) for name, each in found.items()}
    method = METHODS[panel.method]()
    planned = method.plan(panel.members, request.extras.samples or panel.samples)
    # A stream's status is held for a second only: who waits longer could not refuse any more.
    patience = min(limits.retry_seconds, HOLD_SECONDS if live else limits.retry_seconds)
    retries = Retries(limits.retries, patience)
    spent = {call: Spent() for call in planned}
    if live is not None and live.leads:
        live.leader = planned[0]

    async def ask(call: Call) -> Completion | Failure:
        leads = live is not None and live.leader == call
        streamed = leads or (panel.early_stop and len(planned) > 1)
        member = asked[call.member]
        body = wire.panel_body(request, member, call, streamed)
        engine = generation.engines[member.member.engine]
        with span("call", member=call.member, sample=call.sample):
            headers = outgoing(record, planned.index(call) + 1)
            return await _complete(call, engine, body, headers, retries, spent[call], live)

    round_ = _Round(panel, method, planned, asked, generation.graders.judge(), live)
    await round_.run(ask)
    with span("verdict", panel=panel.name):
        outcome = await round_.outcome(spent)
    generation.metrics.verdict(panel.name, outcome)
    return outcome


class _Round:
    """The calls of one vote: which returned, which failed, which were not waited for."""

    def __init__(
        self,
        panel: Panel,
        method: Method,
        planned: Sequence[Call],
        asked: Mapping[str, Asked],
        judge: Judge,
        live: Live | None,
    ) -> None:
        self.panel, self.method, self.planned, self.asked = panel, method, planned, asked
        self.judge, self.live = _Watched(judge), live
        self.quorum = min(panel.quorum or len(planned) // 2 + 1, len(planned))
        self.ballots: list[Ballot] = []
        self.failures: list[Failure] = []
        self.late: list[Call] = []
        self.cancelled: list[Call] = []

    async def run(self, ask: Ask) -> None:
        """Ask all calls at once, until the vote is settled, hopeless, or past its deadline."""
        deadline = time.monotonic() + self.panel.deadline_s
        running: Running = {asyncio.create_task(ask(call)): call for call in self.planned}
        over = False
        try:
            while running and not over:
                done = await self._wait(running, deadline)
                if not done:
                    break
                for task in done:
                    await self._take(running.pop(task), task.result())
                over = await self._over()
                if over and self.live is not None and len(self.ballots) >= self.quorum:
                    await self._hear_out(self.live, running, deadline)
        finally:
            left_over = self.cancelled if over else self.late
            left_over.extend(running.values())
            await _cancel(list(running))

    async def _wait(self, running: Running, deadline: float) -> set[asyncio.Task[Result]]:
        left = max(0.0, deadline - time.monotonic())
        done, _ = await asyncio.wait(running, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return done

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

    async def _take(self, call: Call, result: Completion | Failure) -> None:
        if isinstance(result, Failure):
            self.failures.append(result)
            return
        thinking = self.asked[call.member].member.thinking
        # Reading and comparing answers may take a while; then a thread does it, as the event
        # loop serves everybody else meanwhile.
        if len(result.text) <= SHORT:
            answer = _read(result, thinking)
        else:
            answer = await asyncio.to_thread(_read, result, thinking)
        self.ballots.append(Ballot(result, answer))

    async def _over(self) -> bool:
        if len(self.planned) - len(self.failures) < self.quorum:
            return True
        if len(self.ballots) < self.quorum or not self.panel.early_stop:
            return False
        if self._are_integers():
            return self.method.settled(self.ballots, len(self.planned), self.judge)
        return await asyncio.to_thread(
            self.method.settled, self.ballots, len(self.planned), self.judge
        )

    def _are_integers(self) -> bool:
        """Tell whether the answers are compared without the judge."""
        return all(b.answer is None or b.answer.integer is not None for b in self.ballots)

    async def outcome(self, spent: Mapping[Call, Spent]) -> Outcome:
        if len(self.ballots) < self.quorum:
            raise self._no_quorum()
        if self._are_integers():
            verdict = self.method.decide(self.ballots, self.planned, self.judge)
        else:
            verdict = await asyncio.to_thread(
                self.method.decide, self.ballots, self.planned, self.judge
            )
        return Outcome(
            verdict=verdict,
            asked=self.asked,
            failures=self.failures,
            late=self.late,
            cancelled=self.cancelled,
            spent=spent,
            undecided=len(self.judge.exhausted),
            method=self.panel.method,
            planned=len(self.planned),
        )

    def _no_quorum(self) -> UpstreamError:
        """Return the engines' own refusal where all agree on it, else what was missing.

        A call that was cancelled because the others had already refused changes neither.
        """
        failures = self.failures
        statuses = {failure.status for failure in failures if failure.kind in _UNPAID}
        refused = all(failure.kind in _UNPAID for failure in failures)
        unpaid = refused and not self.ballots and not self.late
        if unpaid and len(statuses) == 1:
            first = failures[0]
            error = EngineError(first.kind, first.detail, first.status, first.retry_after)
            return error.for_client()
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
            paid=not unpaid,
        )


_UNPAID = frozenset({"status", "refused", "busy"})
"""Failures before anything was generated."""


class _Watched:
    """A judge that remembers which expressions were too much for it."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.exhausted: set[str] = set()

    def __call__(self, text: str) -> Sample | Unread:
        found = self._judge(text)
        if found is Unread.EXHAUSTED:
            self.exhausted.add(text)
        return found


def _read(completion: Completion, thinking: bool) -> Answer | None:
    return answers.read(
        completion.choice["message"], finish_reason=completion.finish_reason, thinking=thinking
    )


async def _complete(
    call: Call,
    engine: Engine,
    body: bytes,
    headers: bytes,
    retries: Retries,
    spent: Spent,
    live: Live | None,
) -> Completion | Failure:
    """Make one call. What goes wrong comes back as a `Failure`."""
    started = time.monotonic()
    try:
        async with engine.post(CHAT, body, headers, retries) as response:
            if live is not None:
                live.answer()
            if response.content_type == b"text/event-stream":
                collector = Collector(spent, live.hear if live and live.leader == call else None)
                async for chunk in response.chunks():
                    collector.feed(chunk)
                completion = collector.completion()
            else:
                completion = engine.completion(await response.read())
                usage = completion.get("usage")
                spent.usage = usage if isinstance(usage, dict) else {}
    except EngineError as error:
        seconds, detail = time.monotonic() - started, engine.quote(error.detail)
        return Failure(call, error.kind, detail, error.status, error.retry_after, seconds)
    return _completion(call, completion, time.monotonic() - started)


def _completion(call: Call, body: dict[str, Any], seconds: float) -> Completion | Failure:
    choice = body["choices"][0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return Failure(call, "protocol", "a choice without a message", seconds=seconds)
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(each, dict) for each in calls):
        return Failure(call, "protocol", "tool calls of the wrong shape", seconds=seconds)
    if choice.get("finish_reason") == "abort":
        return Failure(call, "aborted", "the engine aborted the call", seconds=seconds)
    if not (message.get("content") or message.get("tool_calls")):
        return Failure(call, "empty", "a message without content", seconds=seconds)
    return Completion(call, choice, body, seconds)


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
