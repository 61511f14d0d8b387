"""What each method gets for what it costs, on the same problems."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from ..figures import intervals
from ..figures.estimators import Interval
from .candidates import known, of_anybody, of_panels
from .plan import Plan, fitting, plan
from .replay import Replayed, replay_all
from .stored import StoredProblem

Axis: TypeAlias = Literal["calls", "tokens", "seconds"]
AXES: tuple[Axis, ...] = ("calls", "tokens", "seconds")


@dataclass(frozen=True, slots=True)
class FrontierRow:
    """A method beside the best one. `difference` is its accuracy less the best one's, paired.

    `cheapest` names the costs in which it is the cheapest whose difference is within noise.
    `leads` names those in which nothing is both cheaper and better.
    """

    replayed: Replayed
    difference: Interval
    within_noise: bool
    cheapest: tuple[Axis, ...]
    leads: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Frontier:
    """All methods over the same problems; `best` has the highest accuracy."""

    problems: int
    orders: int
    rows: tuple[FrontierRow, ...]
    best: FrontierRow

    def as_json(self) -> dict[str, Any]:
        """Return the table as JSON has it."""
        return {
            "problems": self.problems,
            "orders": self.orders,
            "rows": [
                {
                    **row.replayed.as_json(),
                    "difference": asdict(row.difference),
                    "within_noise": row.within_noise,
                    "cheapest": list(row.cheapest),
                    "best": row is self.best,
                }
                for row in self.rows
            ],
        }


def plans(problems: Sequence[StoredProblem], fewest: int) -> list[Plan]:
    """Return what to try: panels, if all problems have the same members; else whoever answered."""
    has = known(problems)
    everyone = {one.member for problem in problems for one in problem.answers}
    if everyone == set(has.members):
        return of_panels(problems, has)
    return of_anybody(known(fitting(problems, plan("majority"), fewest)))


def frontier(problems: Sequence[StoredProblem], *, number: int, seed: int, fewest: int) -> Frontier:
    """Replay all that the stored answers allow, with a progress bar.

    Raises:
        EvalError: no problem has enough answers.
    """
    return compared(replay_all(problems, plans(problems, fewest), number, seed, fewest))


def compared(found: Sequence[Replayed]) -> Frontier:
    """Return the methods (all over the same problems) beside the best of them.

    What abstains is not compared: it is right less often because it answers less often.
    """
    best = max(found, key=lambda each: (_right(each), -each.calls))
    differences = [intervals.paired(_rights(best), _rights(each)).difference for each in found]
    answering = [each for each in found if each.coverage == 1]
    near = [
        each
        for each, difference in zip(found, differences, strict=True)
        if difference.high >= 0 and each in answering
    ]
    cheapest = {axis: _cheapest(near, axis) for axis in AXES}
    rows = tuple(
        FrontierRow(
            replayed=each,
            difference=difference,
            within_noise=any(each is one for one in near),
            cheapest=tuple(axis for axis in AXES if each is cheapest[axis]),
            leads=tuple(axis for axis in AXES if _leads(each, answering, axis)),
        )
        for each, difference in zip(found, differences, strict=True)
    )
    return Frontier(
        problems=len(best.means),
        orders=best.orders,
        rows=rows,
        best=next(row for row in rows if row.replayed is best),
    )


def cost(each: Replayed, axis: Axis) -> float | None:
    """Return a method's cost; `None` if it was not stored."""
    value: float | None = getattr(each, axis)
    return value


def _rights(each: Replayed) -> list[float]:
    return [means.right for means in each.means.values()]


def _right(each: Replayed) -> float:
    rights = _rights(each)
    return sum(rights) / len(rights)


def _cheapest(near: Sequence[Replayed], axis: Axis) -> Replayed | None:
    costs = [(value, -_right(each), n) for n, each in enumerate(near)
             if (value := cost(each, axis)) is not None]  # fmt: skip
    return near[min(costs)[2]] if costs else None


def _leads(each: Replayed, others: Sequence[Replayed], axis: Axis) -> bool:
    """Tell whether no other method is at least as good and as cheap, and better in one of both."""
    own = cost(each, axis)
    if own is None or not any(each is other for other in others):
        return False
    for other in others:
        price = cost(other, axis)
        if price is None or price > own or _right(other) < _right(each):
            continue
        if price < own or _right(other) > _right(each):
            return False
    return True
