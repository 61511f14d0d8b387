"""Choose a panel within a budget, and say honestly what it is worth: on problems held out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from its.methods.seam import Case

from ..errors import EvalError
from ..figures import intervals
from ..figures.estimators import Interval
from .candidates import known, of_panels
from .plan import Plan
from .replay import Replayed, replay_all
from .stored import StoredProblem

SPLITS = 100
SHOWN = 8
MAX_CALLS, MAX_SAMPLES = 192, 64
"""What a panel of the proxy allows if it does not say otherwise."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a question may cost on average."""

    unit: Literal["calls", "tokens"]
    most: float

    def __str__(self) -> str:
        return f"{self.most:g} {self.unit} a question"


@dataclass(frozen=True, slots=True)
class Searched:
    """The panel chosen on all problems, and what choosing in this way is worth.

    `held_out` is the accuracy, and `held_out_cost` the mean cost, on the half of the problems that
    the choice did not see, over `splits` in two halves; each half chooses once. `within` is the
    share of them that kept the budget. `ranked` has plans with the share of choices that fell on
    them.
    """

    budget: Budget
    problems: int
    splits: int
    chosen: Replayed
    held_out: Interval
    held_out_cost: float
    within: float
    ranked: tuple[tuple[float, Replayed], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        return {
            "budget": {self.budget.unit: self.budget.most},
            "splits": self.splits,
            "chosen": self.chosen.as_json(),
            "held_out": {
                "accuracy": asdict(self.held_out),
                self.budget.unit: self.held_out_cost,
                "within_budget": self.within,
            },
            "candidates": [{"chosen": share, **each.as_json()} for share, each in self.ranked],
        }


def budget(text: str) -> Budget:
    """Read `calls=3` or `tokens=2000`.

    Raises:
        EvalError: it is neither.
    """
    unit, _, number = text.partition("=")
    try:
        most = float(number)
    except ValueError:
        most = 0.0
    if unit not in ("calls", "tokens") or not 0 < most < float("inf"):
        raise EvalError(f"--budget: {text!r}: write calls=3 or tokens=2000, per question")
    return Budget("calls" if unit == "calls" else "tokens", most)


def search(
    problems: Sequence[StoredProblem],
    limit: Budget,
    *,
    number: int,
    seed: int,
    splits: int = SPLITS,
) -> Searched:
    """Replay every candidate, and choose among them on halves of the problems.

    Raises:
        EvalError: there are fewer than four problems, they do not have the same members, or nothing
            is within the budget.
    """
    if len(problems) < 4:
        raise EvalError(f"{len(problems)} problems are too few to choose on one half of them")
    tried = replay_all(problems, candidates(problems, limit), number, seed, fewest=1)
    right = np.array([[each.right for each in one.means.values()] for one in tried])
    cost = np.array([[getattr(each, limit.unit) for each in one.means.values()] for one in tried])
    best = _choose(right, cost, limit)
    if best is None:
        least = min(float(row.mean()) for row in cost)
        raise EvalError(f"--budget: nothing costs {limit}; the cheapest costs {least:.4g}")
    return _held_out(tried, right, cost, limit, tried[best], splits, seed)


def candidates(problems: Sequence[StoredProblem], limit: Budget) -> list[Plan]:
    """Return the plans of panels that may fit the budget; those that abstain are left out.

    Raises:
        EvalError: the problems share no member, or too many.
    """
    has = known(problems)
    if not has.members:
        raise EvalError(
            "no member has answered all of these problems: choose members with --member; only the"
            " problems that all of them answered are used then"
        )
    found = [plan for plan in of_panels(problems, has) if plan.raw.get("below") != "abstain"]
    if limit.unit == "tokens":
        return found
    least = {"adaptive": lambda plan: 2, "escalate": _drafts}
    fits = [plan for plan in found if least.get(plan.name, _drafts)(plan) <= limit.most]
    return fits or found[:1]


def _drafts(plan: Plan) -> int:
    return (plan.samples or 1) * len(plan.members)


def _choose(right: Array, cost: Array, limit: Budget) -> int | None:
    """Return the row with the highest mean within the budget; of equals, the cheapest."""
    rights, costs = right.mean(1), cost.mean(1)
    fits = np.flatnonzero(costs <= limit.most)
    if len(fits) == 0:
        return None
    return int(min(fits, key=lambda n: (-round(float(rights[n]), 9), costs[n], n)))


def _held_out(
    tried: Sequence[Replayed], right: Array, cost: Array, limit: Budget, chosen: Replayed,
    splits: int, seed: int,
) -> Searched:  # fmt: skip
    rng = np.random.default_rng(seed)
    size = right.shape[1]
    seen: list[list[float]] = [[] for _ in range(size)]
    costs, picks = [], []
    for _ in range(splits):
        order = rng.permutation(size)
        halves = order[: size // 2], order[size // 2 :]
        for here, there in (halves, halves[::-1]):
            pick = _choose(right[:, here], cost[:, here], limit)
            if pick is None:  # by chance, nothing fits on this half
                pick = int(cost[:, here].mean(1).argmin())
            picks.append(pick)
            costs.append(float(cost[pick, there].mean()))
            for n in there:
                seen[n].append(float(right[pick, n]))
    shares = [picks.count(n) / len(picks) for n in range(len(tried))]
    ranked = sorted(zip(shares, tried, strict=True), key=lambda pair: -pair[0])[:SHOWN]
    return Searched(
        budget=limit,
        problems=size,
        splits=splits,
        chosen=chosen,
        held_out=intervals.mean_interval([fmean(each) for each in seen]),
        held_out_cost=fmean(costs),
        within=fmean(each <= limit.most for each in costs),
        ranked=tuple(pair for pair in ranked if pair[0] > 0),
    )


def block(plan: Plan, name: str) -> str:
    """Return a plan as the table of a panel, in TOML, for the proxy's configuration."""
    import tomlkit

    samples = plan.samples or 1
    case = Case(plan.members, samples, (), plan.options)
    most = plan.method.most_calls(case)
    panel = {
        "members": list(plan.members),
        **({"samples": samples} if samples > 1 else {}),
        **({"max_samples": samples} if samples > MAX_SAMPLES else {}),
        **({"max_calls": most} if most > MAX_CALLS else {}),
        "method": plan.name,
        **({"options": dict(plan.raw)} if plan.raw else {}),
    }
    document = tomlkit.document()
    panels = tomlkit.table(is_super_table=True)
    panels.add(name, panel)
    document.add("panels", panels)
    return tomlkit.dumps(document)
