"""Drive a method's program from stored answers, each member's in turn."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from its.methods import replay
from its.methods.replay import ReplayError, needs_new_text
from its.methods.seam import Call, Program, Reply, Verdict

from ..errors import EvalError
from .stored import StoredAnswer


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


class _Taker:
    """Gives each call its member's next stored answer, of the call's temperature if it has one."""

    def __init__(self, answers: Sequence[StoredAnswer], order: Sequence[int]) -> None:
        self._answers = answers
        self._left: dict[str, deque[int]] = {}
        for index in order:
            self._left.setdefault(answers[index].member, deque()).append(index)

    def __call__(self, call: Call) -> int | None:
        if reason := needs_new_text(call):
            raise ReplayError(f"stored answers cannot replay the call {call.name!r}: {reason}")
        left = self._left.get(call.member)
        wanted = call.params.get("temperature")
        if not left:
            return None
        if wanted is None:
            return left.popleft()
        found = next((n for n in left if self._answers[n].temperature == wanted), None)
        if found is not None:
            left.remove(found)
        return found


def drive(
    program: Program, answers: Sequence[StoredAnswer], order: Sequence[int], *, by_seconds: bool
) -> Driven:
    """Run `program`: each call takes the next answer of its member, in `order` (indices).

    Raises:
        EvalError: a call needs new text.
    """
    replies = [stored.reply for stored in answers]
    try:
        driven = replay.drive(program, replies, _Taker(answers, order), by_seconds=by_seconds)
    except ReplayError as error:
        raise EvalError(str(error)) from error
    verdict, made = driven.verdict, driven.made
    won = made[verdict.winner.call.name] if verdict.winner else None
    drawn = tuple(index for index in made.values() if index is not None)
    return Driven(
        verdict=verdict,
        correct=won is not None and answers[won].correct,
        calls=len(made),
        ran_out=len(made) - len(drawn),
        tokens=driven.tokens,
        time=driven.time,
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
