"""Drive a method's program from stored answers: no engine, no clock, no chance.

Time is simulated. A call ends its stored seconds after it was made; where no seconds are stored,
as many steps after it as it has tokens, as if all wrote at one speed.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from msgspec.structs import replace

from its.methods.seam import Call, Program, Reply, Verdict

from ..errors import EvalError
from .stored import StoredAnswer

REPLAYED = frozenset({"temperature", "logprobs", "top_logprobs"})
"""Parameters of a call that a stored answer can have met."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What a program did with stored answers.

    `correct` is false if nothing won. `calls` counts those made, `ran_out` those of them for which
    no answer was left. `tokens` are completion tokens; a call that was cancelled counts with what
    it had written by then. `time` is the simulated time of the verdict. `drawn` says which stored
    answers were used, in the order of the calls.
    """

    verdict: Verdict
    correct: bool
    calls: int
    ran_out: int
    tokens: float
    time: float
    drawn: tuple[int, ...]


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
    """The state of one drive: what is left of each member, and what runs."""

    answers: Sequence[StoredAnswer]
    left: dict[str, deque[int]]
    by_seconds: bool
    now: float = 0.0
    running: list[tuple[float, int, float, Call, int | None]] = field(default_factory=list)
    drawn: list[int | None] = field(default_factory=list)
    made: dict[str, int | None] = field(default_factory=dict)
    tokens: float = 0.0

    def start(self, call: Call) -> None:
        if reason := needs_new_text(call):
            raise EvalError(f"stored answers cannot replay the call {call.name!r}: {reason}")
        index = self._take(call)
        number = len(self.drawn)
        self.drawn.append(index)
        self.made[call.name] = index
        # What has run out fails at once.
        ends = self.now + (0.0 if index is None else self._duration(index))
        heappush(self.running, (ends, number, self.now, call, index))

    def _take(self, call: Call) -> int | None:
        """Take the member's next stored answer, of the call's temperature if it names one."""
        left = self.left.get(call.member)
        wanted = call.params.get("temperature")
        if not left:
            return None
        if wanted is None:
            return left.popleft()
        found = next((n for n in left if self.answers[n].temperature == wanted), None)
        if found is not None:
            left.remove(found)
        return found

    def _duration(self, index: int) -> float:
        reply = self.answers[index].reply
        return reply.seconds if self.by_seconds else float(reply.completion_tokens or 0)

    def arrive(self) -> Reply:
        if not self.running:
            raise EvalError("the method waits for a reply, and no call is running")
        self.now, _, _, call, index = heappop(self.running)
        if index is None:
            return Reply(call, "failed")
        reply = self.answers[index].reply
        self.tokens += reply.completion_tokens or 0
        return replace(reply, call=call)

    def cancel(self) -> None:
        """Count what the calls that still run have written by now."""
        for ends, _, began, _, index in self.running:
            if index is not None and ends > began:
                share = (self.now - began) / (ends - began)
                self.tokens += share * (self.answers[index].reply.completion_tokens or 0)


def drive(
    program: Program, answers: Sequence[StoredAnswer], order: Sequence[int], *, by_seconds: bool
) -> Driven:
    """Run `program`: each call takes the next answer of its member, in `order` (indices).

    Raises:
        EvalError: a call needs new text.
    """
    left: dict[str, deque[int]] = {}
    for index in order:
        left.setdefault(answers[index].member, deque()).append(index)
    replay = _Replay(answers, left, by_seconds)
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
    return _driven(replay, verdict)


def _driven(replay: _Replay, verdict: Verdict) -> Driven:
    won = replay.made[verdict.winner.call.name] if verdict.winner else None
    drawn = tuple(index for index in replay.drawn if index is not None)
    return Driven(
        verdict=verdict,
        correct=won is not None and replay.answers[won].correct,
        calls=len(replay.drawn),
        ran_out=len(replay.drawn) - len(drawn),
        tokens=replay.tokens,
        time=replay.now,
        drawn=drawn,
    )


def asked(program: Program, reply_to: Callable[[Call], Reply]) -> Mapping[str, Call]:
    """Return all calls that `program` makes where `reply_to` answers, by name; it is not judged."""
    made: dict[str, Call] = {}
    waiting: deque[Call] = deque()
    try:
        calls = next(program)
        while True:
            made |= {call.name: call for call in calls}
            waiting.extend(calls)
            if any(needs_new_text(call) for call in calls) or not waiting:
                break
            calls = program.send(reply_to(waiting.popleft()))
    except StopIteration:
        pass  # the program has ended: its calls are what counts here, not its verdict
    finally:
        program.close()
    return made
