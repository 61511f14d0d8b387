"""What the terminal shows of replayed methods."""

from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from its.cli import Column, Sheet

from ..figures.estimators import Interval
from ..pages.numbers import count, interval, percent
from .frontier import AXES, Axis, Frontier, cost
from .plan import Plan
from .replay import Beside, Replayed
from .search import Searched

ENDS = ("low", "high")

LONG = 12
"""Characters of a member's name, above which a letter stands for it."""


def described(plan: Plan, names: Mapping[str, str] | None = None) -> str:
    """Return a plan in words: the method, its options, the samples, and of whom.

    `names` gives what stands for each member; a member that is not in it is not named.
    """
    known = {name: name for name in (*plan.members, *plan.others)} if names is None else names
    options = [f"{key}={known.get(str(value), value)}" for key, value in plan.raw.items()]
    whom = [known[member] for member in plan.members if member in known]
    samples = plan.samples if plan.samples != 1 or not whom else None
    parts = [
        plan.name,
        *options,
        *([f"samples={samples}"] if samples else []),
        *([f"of {', '.join(whom)}"] if whom else []),
    ]
    return " ".join(parts)


def names_of(found: Iterable[Replayed], *, always: bool = False) -> dict[str, str]:
    """Return what stands for each member where plans ask different ones (or `always`).

    Letters stand for long names: a table of 80 columns has no room for them.
    """
    plans = [each.plan for each in found]
    differ = len({plan.members for plan in plans}) > 1 or any(plan.others for plan in plans)
    if not (differ or always):
        return {}
    members = dict.fromkeys(m for plan in plans for m in (*plan.members, *sorted(plan.others)))
    if all(len(member) <= LONG for member in members):
        return {member: member for member in members}
    return dict(zip(members, ascii_uppercase, strict=False))


def legend(names: Mapping[str, str]) -> str:
    """Return which member each letter stands for; nothing if they stand for themselves."""
    return ", ".join(f"{short}: {name}" for name, short in names.items() if short != name)


def heading(found: Replayed) -> str:
    """Return what was replayed, and on what."""
    return f"{described(found.plan)}: {len(found.means)} problems, {found.orders} orders"


def replay_table(found: Replayed) -> Sheet:
    """Return the figures of one method: a row for each."""
    rows: list[list[Any]] = [
        ["right, of all problems", found.accuracy.value, _ends(found.accuracy)]
    ]
    if found.coverage < 1 and found.precision:
        rows.append(["answered", found.coverage, None])
        rows.append(["right, where answered", found.precision.value, _ends(found.precision)])
    if found.decided is not None:
        rows.append(["decided", found.decided, None])
    shares = [[name, percent(value), ends] for name, value, ends in rows]
    estimated = ", estimated" if found.stored.estimated else ""
    shares += [
        ["calls", f"{found.calls:.2f}", None],
        [f"completion tokens{estimated}", count(found.tokens), None],
    ]
    if found.seconds is not None:
        shares.append(["seconds, simulated", f"{found.seconds:.2f}", None])
    columns = [
        Column("figure", text=True), Column("mean"),
        Column("95% interval", interval, missing="", parts=ENDS),
    ]  # fmt: skip
    return Sheet("", columns, shares)


def beside_table(rows: Sequence[Beside], name: str) -> Sheet:
    """Return each member alone, beside the method on the same problems."""
    columns = [
        Column("member", text=True), Column("problems"), Column("alone", percent),
        Column(name, percent),
    ]  # fmt: skip
    return Sheet("", columns, [[row.member, row.problems, row.alone, row.method] for row in rows])


CHEAPEST = "*: the cheapest whose difference to the best, {best}, is within noise."


def frontier_table(found: Frontier) -> Sheet:
    """Return one row for each method and its options."""
    names = names_of(row.replayed for row in found.rows)
    timed = found.rows[0].replayed.seconds is not None
    withheld = any(row.replayed.coverage < 1 for row in found.rows)
    columns = [
        Column("method", text=True), Column("right", percent),
        Column("95% interval", interval, parts=ENDS),
        *(_cost_column(axis) for axis in (AXES if timed else AXES[:2])),
        *([Column("answered", percent), Column("right of them", percent)] if withheld else []),
    ]  # fmt: skip
    rows = []
    for row in found.rows:
        each = row.replayed
        costs = [(cost(each, axis) or 0.0, axis in row.cheapest) for axis in AXES]
        precision = each.precision
        rows.append([
            described(each.plan, names), each.accuracy.value, _ends(each.accuracy),
            *(costs if timed else costs[:2]),
            *([each.coverage, precision.value if precision else None] if withheld else []),
        ])  # fmt: skip
    best = CHEAPEST.format(best=described(found.best.replayed.plan, names))
    title = f"{found.problems} problems, {found.orders} orders of their stored answers"
    return Sheet(title, columns, rows, [part for part in (legend(names), best) if part])


def _cost_column(axis: Axis) -> Column:
    return Column(axis, _starred, parts=(axis, f"cheapest in {axis}"))


def _starred(pair: tuple[float, bool]) -> str:
    return f"{_short(pair[0])}{'*' if pair[1] else ''}"


def search_table(found: Searched) -> Sheet:
    """Return the plans that were chosen most often, with their figures on all problems."""
    columns = [
        Column("method", text=True), Column("chosen", percent), Column("right", percent),
        Column("95% interval", interval, parts=ENDS), Column("calls", _short),
        Column("tokens", _short),
    ]  # fmt: skip
    names = names_of((each for _, each in found.ranked), always=True)
    rows = [
        [described(each.plan, names), share, each.accuracy.value, _ends(each.accuracy),
         each.calls, each.tokens]
        for share, each in found.ranked
    ]  # fmt: skip
    held = found.held_out
    held_out = (
        f"On the halves that nothing was chosen on: {held.value:.1%} ({interval(_ends(held))})"
        f" right, at {found.held_out_cost:,.4g} {found.budget.unit}."
    )
    title = f"Within {found.budget}: {found.problems} problems, {found.splits} splits"
    return Sheet(title, columns, rows, [part for part in (legend(names), held_out) if part])


def _short(value: float) -> str:
    """Return a figure in at most six characters, as several have to fit beside each other."""
    if value < 100:
        return f"{value:.1f}"
    return f"{value:.0f}" if value < 10_000 else f"{value / 1000:.1f}k"


def _ends(share: Interval) -> tuple[float, float]:
    return share.low, share.high
