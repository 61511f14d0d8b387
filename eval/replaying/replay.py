"""Replay a method over seeded orders of each problem's stored answers: what it gets, and costs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from its.cli import bar
from its.methods.table import METHODS

from ..figures import intervals
from ..figures.estimators import Interval
from .drive import Driven, drive
from .plan import Order, Plan, fitting, orders, refuse_new_text, samples_each
from .stored import StoredProblem


@dataclass(frozen=True, slots=True)
class ProblemMeans:
    """What a method did with one problem, as means over its orders.

    `right` and `answered` are shares; what is withheld is neither. `time` is the simulated
    time: seconds, where they were stored. `decided` is `None` for a method that has no such notion.
    """

    right: float
    answered: float
    calls: float
    ran_out: float
    tokens: float
    time: float
    decided: float | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """A method over all problems. `stored` says what of its cost was measured."""

    plan: Plan
    orders: int
    means: Mapping[str, ProblemMeans]
    stored: "Costs"

    @property
    def accuracy(self) -> Interval:
        """The share of all problems answered right, with its interval over problems."""
        return intervals.mean_interval([each.right for each in self.means.values()])

    @property
    def precision(self) -> Interval | None:
        """The share of right answers among those given; `None` if none was given."""
        rows = self.means.values()
        return intervals.ratio_interval([r.right for r in rows], [r.answered for r in rows])

    @property
    def coverage(self) -> float:
        return fmean(each.answered for each in self.means.values())

    @property
    def calls(self) -> float:
        return fmean(each.calls for each in self.means.values())

    @property
    def ran_out(self) -> float:
        """The share of calls for which no stored answer was left."""
        made = sum(each.calls for each in self.means.values())
        return sum(each.ran_out for each in self.means.values()) / made if made else 0.0

    @property
    def tokens(self) -> float:
        return fmean(each.tokens for each in self.means.values())

    @property
    def seconds(self) -> float | None:
        if not self.stored.seconds:
            return None
        return fmean(each.time for each in self.means.values())

    @property
    def decided(self) -> float | None:
        known = [each.decided for each in self.means.values() if each.decided is not None]
        return fmean(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        precision = self.precision
        return {
            "method": self.plan.name,
            "options": dict(self.plan.raw),
            "members": list(self.plan.members),
            "samples": self.plan.samples,
            "problems": len(self.means),
            "orders": self.orders,
            "accuracy": asdict(self.accuracy),
            "coverage": self.coverage,
            "precision": asdict(precision) if precision else None,
            "calls": self.calls,
            "ran_out": self.ran_out,
            "tokens": self.tokens,
            "tokens_estimated": self.stored.estimated,
            "seconds": self.seconds,
            "decided": self.decided,
        }


@dataclass(frozen=True, slots=True)
class Costs:
    """What is stored of the answers' cost: whether tokens were estimated, and seconds are there."""

    estimated: bool
    seconds: bool


def costs(problems: Sequence[StoredProblem]) -> Costs:
    """Return what is stored of the cost of these problems' answers."""
    came = [one for problem in problems for one in problem.answers if one.reply.ok]
    return Costs(any(one.estimated for one in came), all(one.reply.seconds > 0 for one in came))


def replay(
    problems: Sequence[StoredProblem],
    at: Plan,
    *,
    number: int = 200,
    seed: int = 0,
    fewest: int = 3,
) -> Replayed:
    """Replay `at` on the problems that have its members, over `number` orders of each.

    Raises:
        EvalError: no problem has its members, or stored answers cannot replay it.
    """
    found = fitting(problems, at, fewest)
    each = samples_each(found, at)
    refuse_new_text(at, found, each)
    stored = costs(found)
    means = {
        problem.id: _means(_driven(problem, at, number, seed, each, stored.seconds))
        for problem in found
    }
    return Replayed(at, number, means, stored)


def replay_all(
    problems: Sequence[StoredProblem], plans: Sequence[Plan], number: int, seed: int, fewest: int
) -> list[Replayed]:
    """Replay each plan, with a progress bar.

    Of plans that differ in an option and do the same on every problem, the first one is kept.
    """
    found: list[Replayed] = []
    with bar("replaying", len(plans), transient=True) as advance:
        for plan in plans:
            one = replay(problems, plan, number=number, seed=seed, fewest=fewest)
            if not any(_same(one, other) for other in found):
                found.append(one)
            advance()
    return found


def _same(one: Replayed, other: Replayed) -> bool:
    a, b = one.plan, other.plan
    alike = (a.name, a.members, a.samples) == (b.name, b.members, b.samples)
    return alike and one.means == other.means


@dataclass(frozen=True, slots=True)
class Beside:
    """A member alone, and the method on the same problems: shares of right answers."""

    member: str
    problems: int
    alone: float
    method: float


def beside(found: Replayed, problems: Sequence[StoredProblem]) -> list[Beside]:
    """Return each member beside the method, on the problems that it answered; most first."""
    asked = {*found.plan.members, *found.plan.others} if found.plan.members else None
    alone: dict[str, list[tuple[float, float]]] = {}
    for problem in problems:
        if problem.id in found.means:
            method = found.means[problem.id].right
            there = dict.fromkeys(one.member for one in problem.answers)
            for member in (name for name in there if asked is None or name in asked):
                own = fmean(one.correct for one in problem.of(member))
                alone.setdefault(member, []).append((own, method))
    rows = [
        Beside(member, len(pairs), fmean(a for a, _ in pairs), fmean(b for _, b in pairs))
        for member, pairs in alone.items()
    ]
    return sorted(rows, key=lambda row: (-row.problems, row.member))


def notes(found: Replayed, problems: Sequence[StoredProblem]) -> list[str]:
    """Return what a reader of the figures must know."""
    plan, stored = found.plan, found.stored
    told = []
    if stored.estimated:
        told.append("Tokens are estimated from the text: no counts are stored with some answers.")
    there = [p for p in problems if p.id in found.means]
    drafting = {one.member for p in there for one in p.answers} - plan.others
    if "one_member" in plan.method.needs(plan.options) and len(set(plan.members) or drafting) > 1:
        told.append(
            f"{plan.name} is meant for samples of one model. Among different models, the answer"
            " that comes first is often that of the weakest."
        )
        if not stored.seconds:
            told.append("No times are stored, so the shortest answer counts as the first.")
    if found.ran_out:
        told.append(
            f"{found.ran_out:.1%} of the calls found no stored answer left and failed:"
            " lower --samples."
        )
    return told


def _driven(
    problem: StoredProblem, at: Plan, number: int, seed: int, each: int, by_seconds: bool
) -> list[Driven]:
    """Return what the program did in each order. What it cannot tell apart, it does once.

    A program that used the first k answers of an order does the same in each order that begins so.
    Only for our own methods: another might look at members that it does not ask.
    """
    known: dict[tuple[int, ...], Driven] = {}
    lengths: set[int] = set()
    done = []
    for order in orders(problem, at, number, seed, each):
        indices = order.indices
        found = next((known[indices[:k]] for k in lengths if indices[:k] in known), None)
        if found is None:
            found = _drive(problem, at, order, by_seconds)
            own = at.name in METHODS and found.drawn == indices[: len(found.drawn)]
            used = found.drawn if own else indices
            known[used] = found
            lengths.add(len(used))
        done.append(found)
    return done


def _drive(problem: StoredProblem, at: Plan, order: Order, by_seconds: bool) -> Driven:
    program = at.method.run(order.case(at, problem), problem.grader)
    return drive(program, problem.answers, order.indices, by_seconds=by_seconds)


def _means(done: Sequence[Driven]) -> ProblemMeans:
    decided = [one.verdict.decided for one in done if one.verdict.decided is not None]
    given = [one.verdict.winner is not None and not one.verdict.withheld for one in done]
    return ProblemMeans(
        right=fmean(one.correct and shown for one, shown in zip(done, given, strict=True)),
        answered=fmean(given),
        calls=fmean(one.calls for one in done),
        ran_out=fmean(one.ran_out for one in done),
        tokens=fmean(one.tokens for one in done),
        time=fmean(one.time for one in done),
        decided=fmean(decided) if decided else None,
    )
