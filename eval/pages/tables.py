"""What the terminal shows of runs: one row for each model, and for each member of a panel."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from ..figures.compare import PairedComparison
from ..figures.figures import Figures
from ..figures.scores import ScoreRows, early

STOPPED = (
    "early: the panel stopped as soon as it was settled. Calls that it cancelled have no answer,"
    " and are no chance draw: its members' own figures would mislead and are left out."
)


def scores_table(rows: ScoreRows, title: str) -> Table:
    """Return the figures of `(context, figures)` rows as a table that fits 80 columns."""
    # Nothing but the columns: eleven of them are to fit into 80 characters.
    shown = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0),
                  box=box.SIMPLE_HEAD, pad_edge=False)  # fmt: skip
    shown.add_column("model", overflow="fold", min_width=6)
    shown.add_column("context", no_wrap=True)
    some_failed = any(found.failed for _, found in rows)
    most = max((len(found.maj_at_k) for _, found in rows), default=1)
    more = [f"pass@{most}", f"maj@{most}"] if most > 1 else []
    counts = ("no\nanswer", "cut", *(["failed"] if some_failed else []), "tokens")
    solved = ["solved"] if most == 1 else []  # a mean over samples is no count
    for column in (*solved, "pass@1", "95%\ninterval", *more, *counts):
        shown.add_column(column, justify="right", no_wrap=True)
    for strategy, found in rows:
        share = found.pass_at_1
        shown.add_row(
            found.name,
            strategy,
            *([f"{share.value * found.problems:.4g}/{found.problems}"] if solved else []),
            f"{share.value:.1%}",
            f"{share.low:.0%}-{share.high:.0%}",
            *_last(found, most),
            str(found.abstained),
            str(found.cut),
            *([str(found.failed)] if some_failed else []),
            "unknown" if found.tokens.mean is None else f"{found.tokens.mean:.0f}",
        )
    if any(early(strategy) for strategy, _ in rows):
        shown.caption, shown.caption_justify = STOPPED, "left"
    return shown


def _last(found: Figures, most: int) -> list[str]:
    """Return pass@k and maj@k at the largest k of the table, where the run has as many samples."""
    if most == 1:
        return []
    if len(found.maj_at_k) < most:
        return ["-", "-"]
    return [f"{found.pass_at_k[-1]:.1%}", f"{found.maj_at_k[-1]:.1%}"]


def comparison_table(made: Sequence[PairedComparison]) -> Table:
    """Return comparisons as a table that fits 80 columns."""
    table = Table(padding=(0, 1, 0, 0), box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("first, then", overflow="fold", min_width=16)
    for name in ("prob-\nlems", "first", "then", "differ-\nence", "95%\ninterval", "gained\n/lost",
                 "p"):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True)
    for each in made:
        share = each.difference
        table.add_row(
            f"{each.one},\n{each.two}", f"{each.problems}",
            f"{each.first:.1%}", f"{each.second:.1%}",
            f"{share.value:+.1%}", f"{share.low:+.1%} to {share.high:+.1%}",
            f"{each.gained}/{each.lost}", f"{each.p:.3g}",
        )  # fmt: skip
    return table
