"""The main path of a panel: plan, ask all at once, read the answers, vote."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from its import answers, prompts
from its.answers import Judge, Sample, Unread
from its.methods import METHODS, Method
from its.types import Ballot, Call, Completion, Failure

from . import wire
from .engines import Engine, EngineError
from .errors import UpstreamError
from .personas import Asked, Contexts
from .settings import Panel, Settings

Ask = Callable[[Call], Awaitable[Completion | Failure]]


async def vote(
    panel: Panel,
    request: wire.ChatRequest,
    *,
    settings: Settings,
    contexts: Contexts,
    engines: Mapping[str, Engine],
    judge: Judge,
    headers: Mapping[str, str],
) -> wire.Outcome:
    """Ask the panel's members and return the verdict.

    Raises:
        BadRequest: the request means nothing on a panel, or breaks a member's co-design.
        UpstreamError: fewer calls than the quorum returned a completion.
    """
    wire.check_for_panel(request, len(panel.members))
    override = wire.override(request.extras)
    asked = {
        name: contexts.ask(settings.members[name], request.messages, override)
        for name in panel.members
    }
    method = METHODS[panel.method]()
    planned = method.plan(panel.members, request.extras.samples or panel.samples)
    question = prompts.question(request.messages)

    async def ask(call: Call) -> Completion | Failure:
        member = asked[call.member]
        body = wire.panel_body(request, member, call, question)
        return await _complete(call, engines[member.member.engine], body, headers)

    round_ = _Round(panel, method, planned, asked, judge)
    await round_.run(ask)
    return await round_.outcome()


class _Round:
    """The calls of one vote: which returned, which failed, which were not waited for."""

    def __init__(
        self,
        panel: Panel,
        method: Method,
        planned: Sequence[Call],
        asked: Mapping[str, Asked],
        judge: Judge,
    ) -> None:
        self.panel, self.method, self.planned, self.asked = panel, method, planned, asked
        self.judge = _Watched(judge)
        self.quorum = min(panel.quorum or len(planned) // 2 + 1, len(planned))
        self.ballots: list[Ballot] = []
        self.failures: list[Failure] = []
        self.late: list[Call] = []
        self.cancelled: list[Call] = []

    async def run(self, ask: Ask) -> None:
        """Ask all calls at once, until the vote is settled, hopeless, or past its deadline."""
        deadline = time.monotonic() + self.panel.deadline_s
        running = {asyncio.ensure_future(ask(call)): call for call in self.planned}
        over = False
        try:
            while running and not over:
                left = max(0.0, deadline - time.monotonic())
                done, _ = await asyncio.wait(
                    running, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                for task in done:
                    await self._take(running.pop(task), task.result())
                over = await self._over()
        finally:
            left_over = self.cancelled if over else self.late
            left_over.extend(running.values())
            await _cancel(list(running))

    # Reading and comparing answers may take a while, so that a thread does it: the event loop
    # serves everybody else meanwhile.

    async def _take(self, call: Call, result: Completion | Failure) -> None:
        if isinstance(result, Failure):
            self.failures.append(result)
            return
        answer = await asyncio.to_thread(
            answers.read,
            result.text,
            finish_reason=result.finish_reason,
            thinking=self.asked[call.member].member.thinking,
        )
        self.ballots.append(Ballot(result, answer))

    async def _over(self) -> bool:
        if len(self.planned) - len(self.failures) < self.quorum:
            return True
        if len(self.ballots) < self.quorum or not self.panel.early_stop:
            return False
        return await asyncio.to_thread(
            self.method.settled, self.ballots, len(self.planned), self.judge
        )

    async def outcome(self) -> wire.Outcome:
        if len(self.ballots) < self.quorum:
            raise self._no_quorum()
        verdict = await asyncio.to_thread(
            self.method.decide, self.ballots, self.planned, self.judge
        )
        return wire.Outcome(
            verdict=verdict,
            asked=self.asked,
            failures=self.failures,
            late=self.late,
            cancelled=self.cancelled,
            undecided=len(self.judge.exhausted),
            method=self.panel.method,
            planned=len(self.planned),
        )

    def _no_quorum(self) -> UpstreamError:
        """Return the engines' own refusal where all agree on it, else what was missing.

        A call that was cancelled because the others had already refused changes neither.
        """
        failures = self.failures
        statuses = {failure.status for failure in failures if failure.kind == "status"}
        refused = all(failure.kind in {"status", "refused"} for failure in failures)
        unpaid = refused and not self.ballots and not self.late
        if unpaid and len(statuses) == 1:
            first = failures[0]
            error = EngineError(first.kind, first.detail, first.status, first.retry_after)
            return error.for_client()
        timed_out = bool(self.late) or any(failure.kind == "timeout" for failure in failures)
        reasons = dict.fromkeys(f"{f.call.member}: {f.detail}" for f in failures)
        found = f"and got {len(self.ballots)} ({len(self.late)} late)"
        return UpstreamError(
            f"the panel {self.panel.name!r} needs {self.quorum} of {len(self.planned)} completions"
            f" {'; '.join([found, *reasons])}",
            status=504 if timed_out else 502,
            code="no_quorum",
            paid=not unpaid,
        )


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


async def _complete(
    call: Call, engine: Engine, body: bytes, headers: Mapping[str, str]
) -> Completion | Failure:
    """Make one call. What goes wrong comes back as a `Failure`."""
    started = time.monotonic()
    try:
        raw = await engine.complete(body, headers)
    except EngineError as error:
        seconds = time.monotonic() - started
        return Failure(call, error.kind, error.detail, error.status, error.retry_after, seconds)
    return _completion(call, msgspec.json.decode(raw), time.monotonic() - started)


def _completion(call: Call, body: dict[str, Any], seconds: float) -> Completion | Failure:
    choice = body["choices"][0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return Failure(call, "protocol", "a choice without a message", seconds=seconds)
    if choice.get("finish_reason") == "abort":
        return Failure(call, "aborted", "the engine aborted the call", seconds=seconds)
    if not (message.get("content") or message.get("tool_calls")):
        return Failure(call, "empty", "a message without content", seconds=seconds)
    return Completion(call, choice, body, seconds)


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
