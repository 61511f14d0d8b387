"""What to replay: a method with its options, and whom it asks; and whether stored answers can."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from its import seeds
from its.methods.options import OptionError, named, parse
from its.methods.replay import needs_new_text
from its.methods.seam import Call, Case, Logprobs, Method, Reply
from its.methods.table import METHODS, MethodError, find
from its.types import Answer

from ..errors import EvalError
from .drive import asked
from .stored import StoredAnswer, StoredProblem

CAN_BE_REPLAYED = ("majority", "adaptive", "escalate", "first_finish", "weighted", "temperatures")
"""Methods that need no new text, whatever the replies are; a test holds each of them to it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A method with its options, and whom it asks.

    Without `members`, whoever answered the problem is asked: then `samples` is the number of
    drafts; else it is that of each member. `None`: as many as are stored.
    """

    name: str
    raw: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    samples: int | None = None
    method: Method = METHODS["majority"]
    options: Any = None

    @property
    def others(self) -> frozenset[str]:
        """The members that the options name, such as `stronger`: they give no drafts."""
        return frozenset(name for _, name in named(self.options))


def plan(
    name: str,
    raw: Mapping[str, Any] | None = None,
    members: Sequence[str] = (),
    samples: int | None = None,
) -> Plan:
    """Return the plan, with its method found and its options checked.

    Raises:
        EvalError: there is no such method, or an option of it is wrong.
    """
    raw = raw or {}
    try:
        method = find(name)
        options = parse(method, raw)
    except MethodError as error:
        raise EvalError(f"--method: {error}") from error
    except OptionError as error:
        raise EvalError(f"--option: {name}: {error}") from error
    return Plan(name, raw, tuple(members), samples, method, options)


def fitting(problems: Sequence[StoredProblem], at: Plan, fewest: int) -> list[StoredProblem]:
    """Return the problems that have every member of the plan; else at least `fewest` answers.

    Raises:
        EvalError: there is none.
    """
    wanted = {*at.members, *at.others}
    found = []
    for problem in problems:
        there = [stored.member for stored in problem.answers]
        drafts = sum(member not in at.others for member in there)
        if wanted <= set(there) and (at.members or drafts >= fewest):
            found.append(problem)
    if found:
        return found
    known = {stored.member for problem in problems for stored in problem.answers}
    unknown = sorted(wanted - known)
    if unknown:
        raise EvalError(f"no answers of {unknown[0]!r} are stored. Stored: {_listed(known)}.")
    if wanted:
        raise EvalError(f"no problem has answers of all of these: {_listed(wanted)}")
    raise EvalError(f"no problem has {fewest} stored answers: lower --fewest")


def _listed(names: set[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - 12} more" if len(ordered) > 12 else ""
    return ", ".join(ordered[:12]) + more


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a problem's stored answers (indices), and the members it gives the method."""

    members: tuple[str, ...]
    samples: int
    indices: tuple[int, ...]

    def case(self, at: Plan, problem: StoredProblem) -> Case:
        question = {"role": "user", "content": problem.question}
        return Case(self.members, self.samples, (question,), at.options)


def orders(problem: StoredProblem, at: Plan, number: int, seed: int, each: int) -> Iterator[Order]:
    """Yield `number` orders, drawn by `seed`; `each` is how many samples a named member gives.

    First come the planned drafts, then what the options name, then the rest: so a method that asks
    for no more than it planned uses the first ones, in this order.
    """
    rng = seeds.rng("order", seed, problem.id)
    stored = problem.answers
    others = [n for n, one in enumerate(stored) if one.member in at.others - set(at.members)]
    pool = [n for n, one in enumerate(stored) if one.member not in at.others]
    for _ in range(number):
        if at.members:
            first, rest = _by_turns(stored, at.members, each, rng)
            members, samples = at.members, each
        else:
            drawn = rng.sample(pool, len(pool))
            planned = len(pool) if at.samples is None else at.samples
            first, rest = drawn[:planned], drawn[planned:]
            members, samples = tuple(stored[n].member for n in first), 1
        tail = rng.sample(others, len(others))
        yield Order(members, samples, (*first, *tail, *rest))


def _by_turns(
    stored: Sequence[StoredAnswer], members: Sequence[str], each: int, rng: Random
) -> tuple[list[int], list[int]]:
    """Return `each` answers of each member, in turn as a panel asks them; and what is left."""
    found: dict[str, list[int]] = {member: [] for member in members}
    for index, one in enumerate(stored):
        if one.member in found:
            found[one.member].append(index)
    for indices in found.values():
        rng.shuffle(indices)
    left = {member: iter(indices) for member, indices in found.items()}
    slots = [next(left[member], None) for _ in range(each) for member in members]
    return [n for n in slots if n is not None], [n for rest in left.values() for n in rest]


def samples_each(problems: Sequence[StoredProblem], at: Plan) -> int:
    """Return how many samples each member of a plan gives: by default what all problems have."""
    if at.samples is not None or not at.members:
        return at.samples or 1
    often = {member: at.members.count(member) for member in at.members}
    return max(1, min(len(p.of(m)) // n for p in problems for m, n in often.items()))


def refuse_new_text(at: Plan, problems: Sequence[StoredProblem], each: int) -> None:
    """Refuse a method that stored answers cannot replay, before anything is replayed.

    The program itself says what it asks for, where all answers are equal, all differ, or all fail.

    Raises:
        EvalError: it needs new text, or something that was not stored.
    """
    largest = max(problems, key=lambda problem: len(problem.answers))
    case = next(orders(largest, at, 1, 0, each)).case(at, largest)
    calls: dict[str, Call] = {}
    for reply_to in (_differing, _equal, _failed):
        calls |= asked(at.method.run(case, largest.grader), reply_to)
    for call in calls.values():
        if reason := needs_new_text(call) or _not_stored(call, problems):
            raise EvalError(f"{at.name} cannot be replayed: {reason}. {_ADVICE}")


_ADVICE = (
    f"These methods can: {', '.join(CAN_BE_REPLAYED)} (weighted where log-probabilities were"
    " stored, temperatures where answers at these temperatures were), each also with `threshold`"
    ' and `below = "abstain"`. Ask the others through the proxy: its-eval run.'
)


def _not_stored(call: Call, problems: Sequence[StoredProblem]) -> str | None:
    stored = [one for problem in problems for one in problem.answers if one.member == call.member]
    known = [one.reply.logprobs for one in stored if one.reply.logprobs is not None]
    if call.params.get("logprobs") and not known:
        return f"no log-probabilities of {call.member} are stored (its-eval run --logprobs 20)"
    if call.params.get("top_logprobs") and not any(each.tail is not None for each in known):
        return f"no confidence of {call.member} is stored (its-eval run --logprobs 20)"
    wanted = call.params.get("temperature")
    there = {one.temperature for one in stored if one.temperature is not None}
    if wanted is not None and wanted not in there:
        at = ", ".join(f"{value:g}" for value in sorted(there)) or "none"
        return (
            f"it asks {call.member} at temperature {wanted:g}, and the temperatures of its stored"
            f" answers are: {at} (--option temperatures=[...])"
        )
    return None


def _differing(call: Call) -> Reply:
    number = sum(call.name.encode()) * 1000 + len(call.name)
    return _stand_in(call, number)


def _equal(call: Call) -> Reply:
    return _stand_in(call, 1)


def _failed(call: Call) -> Reply:
    return Reply(call, "failed")


def _stand_in(call: Call, number: int) -> Reply:
    text = str(number)
    return Reply(
        call, message={"role": "assistant", "content": text}, text=text, raw=text,
        answer=Answer(text, number), finish_reason="stop", logprobs=Logprobs(-0.5, 1.0, 1.0),
    )  # fmt: skip
