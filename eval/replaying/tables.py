"""What the terminal shows of replayed methods."""

from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase

from rich import box
from rich.table import Table

from ..figures.estimators import Interval
from .frontier import AXES, Frontier
from .plan import Plan
from .replay import Beside, Replayed
from .search import Found

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


def replay_table(found: Replayed) -> Table:
    """Return the figures of one method: a row for each."""
    table = _table("")
    for column in ("", "mean", "95% interval"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    table.add_row("right, of all problems", *_interval(found.accuracy))
    if found.coverage < 1 and found.precision:
        table.add_row("answered", f"{found.coverage:.1%}", "")
        table.add_row("right, where answered", *_interval(found.precision))
    table.add_row("calls", f"{found.calls:.2f}", "")
    estimated = ", estimated" if found.stored.estimated else ""
    table.add_row(f"completion tokens{estimated}", f"{found.tokens:,.0f}", "")
    if found.seconds is not None:
        table.add_row("seconds, simulated", f"{found.seconds:.2f}", "")
    if found.decided is not None:
        table.add_row("decided", f"{found.decided:.1%}", "")
    return table


def beside_table(rows: Sequence[Beside], name: str) -> Table:
    """Return each member alone, beside the method on the same problems."""
    table = _table("")
    table.add_column("member", overflow="fold", min_width=16)
    for column in ("problems", "alone", name):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.member, f"{row.problems}", f"{row.alone:.1%}", f"{row.method:.1%}")
    return table


CHEAPEST = "*: the cheapest whose difference to the best, {best}, is within noise."


def frontier_table(found: Frontier) -> Table:
    """Return one row for each method and its options, in at most 80 columns."""
    table = _table(f"{found.problems} problems, {found.orders} orders of their stored answers")
    table.add_column("method", overflow="fold", min_width=14)
    names = names_of(row.replayed for row in found.rows)
    timed = found.rows[0].replayed.seconds is not None
    withheld = any(row.replayed.coverage < 1 for row in found.rows)
    more = ["ans-\nwered", "right\nof them"] if withheld else []
    for column in ("right", "95%\ninterval", "calls", "tokens", *(["s"] if timed else []), *more):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.rows:
        each = row.replayed
        accuracy, precision = each.accuracy, each.precision
        star = {axis: "*" if axis in row.cheapest else "" for axis in AXES}
        of_these = f"{precision.value:.1%}" if precision else "-"
        table.add_row(
            described(each.plan, names), f"{accuracy.value:.1%}", _ends(accuracy),
            f"{each.calls:.2f}{star['calls']}", f"{_short(each.tokens)}{star['tokens']}",
            *([f"{_short(each.seconds or 0.0)}{star['seconds']}"] if timed else []),
            *([f"{each.coverage:.0%}", of_these] if withheld else []),
        )  # fmt: skip
    best = CHEAPEST.format(best=described(found.best.replayed.plan, names))
    table.caption = "\n".join(part for part in (legend(names), best) if part)
    table.caption_justify = "left"
    return table


def search_table(found: Found) -> Table:
    """Return the plans that were chosen most often, with their figures on all problems."""
    table = _table(f"Within {found.budget}: {found.problems} problems, {found.splits} splits")
    table.add_column("method", overflow="fold", min_width=14)
    for column in ("chosen", "right", "95%\ninterval", "calls", "tokens"):
        table.add_column(column, justify="right", no_wrap=True)
    names = names_of((each for _, each in found.ranked), always=True)
    for share, each in found.ranked:
        table.add_row(
            described(each.plan, names), f"{share:.0%}", f"{each.accuracy.value:.1%}",
            _ends(each.accuracy), f"{each.calls:.2f}", _short(each.tokens),
        )  # fmt: skip
    held = found.held_out
    held_out = (
        f"On the halves that nothing was chosen on: {held.value:.1%} ({_ends(held)}) right, at"
        f" {found.held_out_cost:,.4g} {found.budget.unit}."
    )
    table.caption = "\n".join(part for part in (legend(names), held_out) if part)
    table.caption_justify = "left"
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0),
                 box=box.SIMPLE_HEAD, pad_edge=False)  # fmt: skip


def _short(value: float) -> str:
    """Return a figure in at most six characters, as several have to fit beside each other."""
    if value < 100:
        return f"{value:.1f}"
    return f"{value:,.0f}" if value < 10_000 else f"{value / 1000:,.1f}k"


def _interval(share: Interval) -> tuple[str, str]:
    return f"{share.value:.1%}", f"{share.low:.1%}-{share.high:.1%}"


def _ends(share: Interval) -> str:
    return f"{share.low:.0%}-{share.high:.0%}"
