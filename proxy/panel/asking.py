"""How a method's calls leave: each with its member's context, in its slot, with ids of its own."""

import time
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial

from its import prompts
from its.methods.seam import Call, Reply
from its.strategies import adds_context
from its.types import Message

from ..base import guards
from ..base.errors import BadRequest, MethodFault
from ..base.outcome import CompletedCall, FailedCall, Row
from ..base.prompt import NO_OVERRIDE, MemberPrompt, Override
from ..base.record import Record
from ..config.settings import Member, Panel
from ..contexts.personas import Completing
from ..engines.limits import Retries
from ..grading import Grading
from ..state import Generation
from ..telemetry.tracing import outgoing, span
from ..wire import request as wire
from .bodies import PanelBodies, unsettable
from .calls import Result, complete
from .live import Live
from .replies import ReplyReader
from .scoring import score

HOLD_SECONDS = 1.0
"""How long a panel's stream keeps its status open, so that an early refusal is still a status."""

SHORT = 200
"""Characters of a text that is read at once; a longer one is read in a thread.

Reading costs the square of an answer's length where it opens many braces: 1 ms for 200 characters,
30 ms for 1,000. A panel may get 192 of them in the same moment.
"""


class Members:
    """How the members behind a panel are asked, each with the context of its own strategy.

    What a request overrides is about drafts. A member whose own strategy is `none` judges, writes
    and scores without a context, whatever the request wants for its drafts.
    """

    def __init__(
        self,
        completing: Completing,
        plain: Mapping[str, MemberPrompt],
        panels: Mapping[str, Sequence[str]],
    ) -> None:
        self._completing, self._plain, self._panels = completing, plain, panels
        self._turns: dict[str, int] = {}

    @classmethod
    async def of(cls, panel: Panel, request: wire.ChatRequest, generation: Generation) -> "Members":
        """Plan every member, and begin to write the contexts that must be written.

        Raises:
            BadRequest: the request breaks a member's co-design.
        """
        contexts, question, override = generation.contexts, request.question, request.override

        def plan(member: Member, override: Override) -> MemberPrompt:
            return wire.check_guarded(request, contexts.plan(member, question, override))

        members = [generation.settings.members[name] for name in panel.everyone]
        asked = {
            each.name: plan(each, override if each.name in panel.drafting else NO_OVERRIDE)
            for each in members
        }
        plain: dict[str, MemberPrompt] = {}
        if override is not NO_OVERRIDE:
            plain = {m.name: plan(m, NO_OVERRIDE) for m in members if not adds_context(m.strategy)}
        completing = await contexts.complete_all(asked, question, request.goes_on)
        return cls(completing, plain, panel.case.panels)

    def planned(self, call: Call) -> MemberPrompt:
        """Return how a call asks its member: of a panel that judges or writes, each in turn.

        The context may not be there yet.

        Raises:
            MethodFault: the panel has no such member.
        """
        name = call.member
        if behind := self._panels.get(name):
            turn = self._turns[name] = self._turns.get(name, -1) + 1
            name = behind[turn % len(behind)]
        if call.role != "answer" and name in self._plain:
            return self._plain[name]
        if name not in self._completing.known:
            raise MethodFault(f"the method asks {name[:100]!r}, which the panel does not have")
        return self._completing.known[name]

    async def written(self, asked: MemberPrompt) -> MemberPrompt:
        """Return how a member is asked, once its context is written."""
        if asked.context is not None or not adds_context(asked.strategy):
            return asked
        return await self._completing.of(asked.member.name)

    @property
    def personas(self) -> list[Mapping[str, int]]:
        """What writing contexts has cost."""
        return [asked.usage for asked in self._completing.known.values() if asked.usage]

    async def close(self) -> None:
        """End what is not written yet; nobody waits for it."""
        await self._completing.close()


def check(call: Call, asked: MemberPrompt, messages: Sequence[Message]) -> None:
    """Refuse a call that would bring the question past its context.

    Raises:
        MethodFault: its first user message is not the client's, though the member is asked with a
            context; or a parameter is one that only the driver sets, or that the member guards.
    """
    own = call.messages
    if own is not None and adds_context(asked.strategy) and _opening(own) != _opening(messages):
        raise MethodFault(
            f"the call {call.name!r} to {call.member!r}, which is asked with a context, changes the"
            " first user message"
        )
    if call.params:
        if name := unsettable(call.params):
            raise MethodFault(f"the call {call.name!r} sets {name!r}, which only the driver sets")
        set_ = {name: value for name, value in call.params.items() if value is not None}
        try:
            guards.check_fields(set_, asked.member, "chat")
        except BadRequest as error:
            raise MethodFault(f"the call {call.name!r}: {error.message}") from error


def _opening(messages: Sequence[Message]) -> Message | None:
    index = prompts.opening(messages)
    return None if index is None else messages[index]


class CallMaker:
    """Makes the calls of one request."""

    def __init__(
        self,
        request: wire.ChatRequest,
        generation: Generation,
        record: Record,
        members: Members,
        reader: ReplyReader,
        grading: Grading,
        retries: Retries,
        live: Live | None,
    ) -> None:
        self._generation, self._record, self._live = generation, record, live
        self._messages, self._bodies = request.messages, PanelBodies(request)
        self._members, self._reader, self._grading = members, reader, grading
        self._retries = retries

    async def __call__(self, row: Row, number: int, streamed: bool) -> None:
        """Make the `number`-th call and put what came of it into `row`.

        Raises:
            TooMany: the key that asks has no slot and no place in its queue.
        """
        call, started = row.call, time.monotonic()
        row.started = started
        try:
            if row.asked.context is None:  # it may still be written
                row.asked = await self._members.written(row.asked)
            with self._record.asking, span(
                "call", member=row.member, role=call.role, round=call.round, call=call.name
            ):  # fmt: skip
                result = await self._ask(row, number, streamed)
        finally:
            row.seconds = time.monotonic() - started
        if isinstance(result, CompletedCall) and call.role != "score" and _is_empty(call, result):
            result = FailedCall("empty", "a message without content")
        if isinstance(result, FailedCall):
            row.failed = result
        else:
            row.completed = result

    def _ask(self, row: Row, number: int, streamed: bool) -> Awaitable[Result]:
        call, asked, live = row.call, row.asked, self._live
        engine = self._generation.engines[asked.member.engine]
        headers = outgoing(self._record, engine.forward_headers, number)
        accepted = live.answer if live and call.role == "answer" else None
        if call.role == "score":
            messages = call.messages or self._messages
            sent = engine, asked.member.model, messages, headers, self._retries, row
            return score(*sent, accepted)
        pieces = partial(self._pieces, row, asked)
        heard = live.hears(call) if live else None
        sent_ = engine, pieces, streamed or heard is not None, headers, self._retries, row.spent
        return complete(*sent_, accepted, heard)

    def _pieces(self, row: Row, asked: MemberPrompt, level: int | None) -> Sequence[bytes]:
        """Return the body of a call that has its slot now."""
        row.sent += (time.monotonic(),)
        return self._bodies.pieces(asked, row.call, level)

    async def read(self, row: Row) -> None:
        """Turn what came of a call that ended into its reply.

        Reading an answer may take a while; then a thread does it, as the event loop serves
        everybody else meanwhile. What is not read in time abstains.
        """
        call, result = row.call, row.completed
        if result is None:
            row.answer(Reply(call, "failed" if row.failed else "late", seconds=row.seconds))
        elif call.role == "score":
            row.answer(Reply(call, score=result.choice["score"], seconds=row.seconds))
        else:
            content = result.message.get("content")
            read = partial(self._reader.reply, row, result, row.asked.member)
            if isinstance(content, str) and len(content) > SHORT:
                row.answer(await self._grading.run(read) or read(late=True))
            else:
                row.answer(read())


def _is_empty(call: Call, completed: CompletedCall) -> bool:
    """Tell whether a message says nothing; straight after a prefix that is an answer like any."""
    message = completed.message
    return not (message.get("content") or message.get("tool_calls") or call.prefix)
