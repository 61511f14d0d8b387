"""The main path of a panel: run its method's program, make the calls it yields, send the replies.

A program knows nothing of engines, time or money. Here its calls start, end and are accounted for;
at the deadline what runs is cancelled and sent as late. The rules are the seam's
(`its.methods.seam`): a program that breaks one ends the request, because its author must know.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from its import answers
from its.answers.faults import FAULTS
from its.methods.seam import Call, Case, Program, Reply, TimeUp, Verdict, came

from ..base.errors import ApiError, MethodFault
from ..base.outcome import PanelOutcome, Row
from ..base.prompt import MemberPrompt
from ..base.record import Record
from ..base.told import Told
from ..config.settings import Panel
from ..grading import Grading, OutOfTime
from ..state import Generation
from ..telemetry.tracing import span
from ..wire import request as wire
from . import candidates, cases, endings
from .asking import HOLD_SECONDS, CallMaker, Members, check
from .live import Live
from .replies import ReplyReader
from .running import Running
from .stepping import Sent, advanced, close

PLAIN_TEXT = 20_000
"""Characters of replies up to which a light method is stepped without a thread."""

MOST_THROWN = 10
"""How often a program may ask for more after its time is up."""

_LOG = logging.getLogger("its.proxy")


async def drive(
    panel: Panel,
    request: wire.ChatRequest,
    generation: Generation,
    record: Record,
    live: Live | None = None,
) -> PanelOutcome:
    """Run the panel's method for a request and return its verdict.

    The deadline is over everything: a member whose context is not written by then is late, as a
    call is, and answers that are not compared by then are undecided.

    Raises:
        BadRequest: the request means nothing on a panel, asks for too much, or breaks a member's
            co-design.
        TooMany: the key that asks has no slot and no place in its queue, or no tokens left.
        UpstreamError: fewer calls than the quorum returned a reply, or nothing was found in time.
        MethodFault: the method broke the rules.
    """
    deadline = time.monotonic() + panel.deadline_s
    wire.check_for_panel(request, panel)
    case = cases.case_of(panel, request, generation.contexts.seed)
    # A stream's status is held for a second only; later a refusal can no longer be a status.
    retries = generation.retries(record, HOLD_SECONDS if live else None)
    grading = Grading(generation.graders, deadline)
    with span("persona"):
        members = await Members.of(panel, request, generation)
    reader = ReplyReader(answers.kind_of(request.body, panel.answers, panel.json_keys))
    asking = CallMaker(request, generation, record, members, reader, grading, retries, live)
    driven = _Drive(panel, case, members, asking, grading, live, deadline, request.body)
    told = Told(panel, request.messages, record.seconds, driven.calls.rows, case)
    driven.looked_at = generation.verdicts.begin(record, told)
    try:
        outcome = told.outcome = await driven.run()
    except ApiError as error:
        told.error = error.message
        if isinstance(error, MethodFault):
            _LOG.error("%s", error.message)  # its author must know; no client can mend it
        raise
    finally:
        grading.close()
        await members.close()
        generation.metrics.panel_calls(panel.name, driven.rows)
    generation.metrics.verdict(panel.name, outcome)
    if panel.candidates is not None:
        solved = candidates.candidate(panel.candidates, panel.name, request, outcome)
        if solved is not None:
            generation.candidates.keep(panel.candidates, solved)
    return outcome


class _Drive:
    """One program, its calls, and what they cost."""

    def __init__(
        self,
        panel: Panel,
        case: Case,
        members: Members,
        asking: CallMaker,
        grading: Grading,
        live: Live | None,
        deadline: float,
        body: Mapping[str, Any],
    ) -> None:
        self._panel, self._case, self._members = panel, case, members
        self._asking, self._grading, self._live = asking, grading, live
        self._spending = cases.Spending(panel, body) if panel.has_budget else None
        counted = self._is_spent if self._spending else None
        self.calls = Running(asking, deadline, counted)
        self._text = 0
        self._plain = panel.light
        self._broken = ""
        self._shown = ""
        self.looked_at = False  # if somebody looks on, calls are streamed

    @property
    def rows(self) -> list[Row]:
        """Every call, in the order asked."""
        return list(self.calls.rows.values())

    def _is_spent(self) -> bool:
        assert self._spending is not None
        return self._spending.over(self.calls.rows.values(), self._members.personas)

    async def run(self) -> PanelOutcome:
        """Return the outcome; what still runs when the program returns is cancelled."""
        program = self._panel.run.run(self._case, self._grading.judge)
        try:
            verdict = await self._verdict(program)
            if self._live is not None:
                await self._hear_out(self._live)
        finally:
            await self.calls.close()
            close(program)
        with span("verdict", panel=self._panel.name):
            return self._outcome(verdict)

    async def _verdict(self, program: Program) -> Verdict:
        """Step the program to its end."""
        calls, thrown = self.calls, 0
        sent: Sent = None
        while True:
            found = await self._step(program, sent)
            if isinstance(found, Verdict):
                return found
            if found:
                if calls.over and thrown < MOST_THROWN:
                    sent, thrown = TimeUp(), thrown + 1
                    continue
                self._start(found)
            row = await calls.next()
            if row is None:
                if self._broken:
                    return self._fallback()
                raise MethodFault(f"{self._about} waits for nothing: no call of it runs")
            await self._asking.read(row)
            sent = self._took(row)

    async def _step(self, program: Program, sent: Sent) -> Sequence[Call] | Verdict:
        """Run the program up to its next yield or its end.

        An error in it costs the verdict and not the request: what runs is waited for.
        """
        if self._broken:
            return ()
        try:
            if self._plain:
                return advanced(program, sent)
            read = [row.reply.answer for row in self.rows if row.reply]
            return await self._grading.step(partial(advanced, program, sent), read)
        except (TimeUp, OutOfTime):
            raise endings.time_up(self._panel, self.calls) from None
        except Exception as error:  # a method met text that its author did not think of
            FAULTS.note("method", type(error).__name__)
            _LOG.debug("the method of the panel %r failed", self._panel.name, exc_info=error)
            self._broken = type(error).__name__
            return ()

    def _start(self, calls: Sequence[Call]) -> None:
        """Start new calls.

        Raises:
            MethodFault: they break a rule, or time is up and the program knows it.
        """
        running = self.calls
        if running.over:
            raise MethodFault(f"{self._about} goes on asking after its time is up")
        if len(running.rows) + len(calls) > self._panel.max_calls:
            raise MethodFault(f"{self._about} makes more calls than its `max_calls`")
        if len({call.name for call in calls}) < len(calls):
            raise MethodFault(f"{self._about} makes two calls of the same name")
        if self._spending is not None:
            spent = list(running.rows.values()), self._members.personas
            calls = [self._spending.capped(call, *spent) for call in calls]
        asked = [self._checked(call) for call in calls]
        if self._live is not None and not running.rows:
            self._live.begin(list(calls))
        stoppable = self._panel.early_stop and (len(calls) > 1 or running.some)
        streamed = stoppable or self._spending is not None or self.looked_at
        for call, each in zip(calls, asked, strict=True):
            running.start(call, each, streamed)

    def _checked(self, call: Call) -> MemberPrompt:
        """Return how a call asks its member."""
        if call.name in self.calls.rows:
            raise MethodFault(f"{self._about} makes two calls of the same name, {call.name!r}")
        if call.shown and self._shown:
            raise MethodFault(f"{self._about} shows two calls")
        self._shown = call.name if call.shown else self._shown
        asked = self._members.planned(call)
        if call.messages is not None or call.params:
            check(call, asked, self._case.messages)
        return asked

    def _took(self, row: Row) -> Reply:
        """Note an ended call and return its reply.

        Raises:
            UpstreamError: the quorum cannot be reached any more, or the stream has shown the
                beginning of a call that failed.
        """
        reply = row.reply
        assert reply is not None
        if row.call.shown and not reply.ok and self._live is not None and self._live.begun:
            raise endings.cut(self._panel, row, self.calls)
        if row.voices and not reply.ok:
            endings.check_quorum(self._panel, self.calls)
        self._text += len(reply.raw)
        answer = reply.answer
        needs_grader = answer is not None and answer.integer is None and answer.kind == "math"
        self._plain = self._plain and not needs_grader and self._text <= PLAIN_TEXT
        return reply

    async def _hear_out(self, live: Live) -> None:
        """Wait until the leader, whose reasoning is being shown, has thought to its end."""
        name = live.leads_by
        if name is not None and live.thinking:
            await self.calls.until(live.thought, name)

    def _fallback(self) -> Verdict:
        """Return the first reply for an answer, undecided: the method has failed."""
        replies = [row.reply for row in self.rows if row.reply]
        drafts = [reply for reply in came(replies) if reply.call.role == "answer"]
        account = {"error": self._broken}
        return Verdict(drafts[0] if drafts else None, (), False, 0.0, account=account)

    def _outcome(self, verdict: Verdict) -> PanelOutcome:
        """Return what the client is told.

        Raises:
            UpstreamError: nothing was found.
            MethodFault: the winner is no reply of this request, or the stream has shown another.
        """
        if self.calls.over:  # what failed before was counted then
            endings.check_quorum(self._panel, self.calls)
        if verdict.winner is None:
            raise endings.nothing(self._panel, self.calls)
        winner = self.calls.rows.get(verdict.winner.call.name)
        if winner is None or winner.completed is None:
            raise MethodFault(f"{self._about} chose a reply that it was not sent")
        begun = self._live is not None and self._live.begun
        if begun and (winner.call.name != self._shown or verdict.withheld):
            raise MethodFault(f"{self._about} chose another reply than the one that it has shown")
        undecided, rows = len(self._grading.judge.undecided), self.rows
        return PanelOutcome(
            verdict=verdict,
            winner=winner,
            rows=rows,
            undecided=undecided + (_number_of_voices(rows) if self._broken else 0),
            method=self._panel.method,
            planned=sum([row.voices for row in rows]),
            personas=self._members.personas,
            stopped=self.calls.over,
        )

    @property
    def _about(self) -> str:
        return f"the method {self._panel.method!r} of the panel {self._panel.name!r}"


def _number_of_voices(rows: Iterable[Row]) -> int:
    """Return how many replies a method that failed did not compare."""
    return sum(row.voices and row.outcome == "ok" for row in rows)
