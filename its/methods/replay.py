"""Drive a method's program from replies that are there: no engine, no clock, no chance.

Time is simulated. A call ends its reply's seconds after it was made; where no seconds are known,
as many steps after it as it has tokens, as if all wrote at one speed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TypeAlias

from msgspec.structs import replace

from .seam import Call, Program, Reply, Verdict

REPLAYED = frozenset({"temperature", "logprobs", "top_logprobs"})
"""Parameters of a call that a reply which is there can have met."""

Take: TypeAlias = Callable[[Call], int | None]
"""Takes the index of the reply that a call gets; `None`: there is none, and the call fails."""


class ReplayError(ValueError):
    """A program asks for what no reply that is there can give."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a program did. `made` has the index of each call's reply, `None` where there was none.

    `tokens` are completion tokens; a call that was cancelled counts with what it had written by
    then. `time` is the simulated time of the verdict.
    """

    verdict: Verdict
    made: Mapping[str, int | None]
    tokens: float
    time: float


def needs_new_text(call: Call) -> str | None:
    """Return what a call asks for that no stored answer can give; `None` if one can."""
    if call.role != "answer":
        does = {"judge": "rate drafts", "write": "write from drafts", "score": "score drafts"}
        return f"a member would have to {does.get(call.role, call.role)}"
    if call.prefix is not None:
        return "a member would have to continue an answer"
    if call.messages is not None:
        return "a member would have to answer to another text than the question"
    other = sorted(call.params.keys() - REPLAYED)
    return f"a member would have to answer with another {', '.join(other)}" if other else None


@dataclass(slots=True)
class _Replay:
    """The state of one drive: what runs, and what was made."""

    replies: Sequence[Reply]
    take: Take
    by_seconds: bool
    now: float = 0.0
    running: list[tuple[float, int, float, Call, int | None]] = field(default_factory=list)
    made: dict[str, int | None] = field(default_factory=dict)
    tokens: float = 0.0

    def start(self, call: Call) -> None:
        index = self.take(call)
        number = len(self.made)
        self.made[call.name] = index
        # What has run out fails at once.
        ends = self.now + (0.0 if index is None else self._duration(index))
        heappush(self.running, (ends, number, self.now, call, index))

    def _duration(self, index: int) -> float:
        reply = self.replies[index]
        return reply.seconds if self.by_seconds else float(reply.completion_tokens or 0)

    def arrive(self) -> Reply:
        if not self.running:
            raise ReplayError("the method waits for a reply, and no call is running")
        self.now, _, _, call, index = heappop(self.running)
        if index is None:
            return Reply(call, "failed")
        reply = self.replies[index]
        self.tokens += reply.completion_tokens or 0
        return replace(reply, call=call)

    def cancel(self) -> None:
        """Count what the calls that still run have written by now."""
        for ends, _, began, _, index in self.running:
            if index is not None and ends > began:
                share = (self.now - began) / (ends - began)
                self.tokens += share * (self.replies[index].completion_tokens or 0)


def drive(program: Program, replies: Sequence[Reply], take: Take, *, by_seconds: bool) -> Rerun:
    """Run `program`; each of its calls gets the reply that `take` takes.

    Raises:
        ReplayError: a call needs new text, as `take` says, or the program waits for nothing.
    """
    replay = _Replay(replies, take, by_seconds)
    try:
        calls = next(program)
        while True:
            for call in calls:
                replay.start(call)
            calls = program.send(replay.arrive())
    except StopIteration as ended:
        verdict: Verdict = ended.value
    finally:
        program.close()
    replay.cancel()
    return Rerun(verdict, replay.made, replay.tokens, replay.now)
