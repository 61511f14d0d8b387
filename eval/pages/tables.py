"""What the terminal shows of runs: one row for each model, and for each member of a panel."""

from collections.abc import Callable, Sequence
from typing import Any

from its.cli import Column, Sheet

from ..figures.compare import ComparedProblem, PairedComparison
from ..figures.figures import COUNTED, Figures
from ..figures.scaling import shown_ks
from ..figures.scores import RunRow, ScoreRows, early
from .numbers import count, interval, p_value, percent, signed, signed_interval

STOPPED = (
    "early: the panel stopped as soon as it was settled. Calls that it cancelled have no answer,"
    " and are no chance draw: its members' own figures would mislead and are left out."
)

SHOWN = 20
"""Problems that differ which `its-eval compare` lists if it is not asked for all."""

ENDS = ("low", "high")


def scores_table(rows: ScoreRows, title: str) -> Sheet:
    """Return the figures of one run, of `(context, figures)` rows."""
    return _figures([RunRow("", "", context, found) for context, found in rows], title, run=False)


def report_tables(rows: Sequence[RunRow], title: str = "") -> list[Sheet]:
    """Return a table for each task: figures of different tasks never stand in one."""
    tasks: dict[str, list[RunRow]] = {}
    for row in rows:
        tasks.setdefault(row.task, []).append(row)
    head = f"{title}: " if title else ""
    return [_figures(found, f"{head}{task}", run=True) for task, found in tasks.items()]


def _figures(rows: Sequence[RunRow], title: str, *, run: bool) -> Sheet:
    """Return rows as a table; columns of counts that are 0 everywhere are left out."""
    most = max((len(row.figures.maj_at_k) for row in rows), default=1)
    columns: list[tuple[Column, Callable[[RunRow], Any]]] = [
        *([(Column("run", text=True), lambda row: row.run)] if run else []),
        (Column("model", text=True), lambda row: row.figures.name),
        (Column("context", text=True), lambda row: row.context),
    ]
    if most == 1:  # a mean over samples is no count
        columns.append((Column("solved", _solved, parts=("solved", "problems")), _counts))
    columns += [
        (Column("pass@1", percent), lambda row: row.figures.pass_at_1.value),
        (Column("95% interval", interval, parts=ENDS), _ends),
    ]
    for k in shown_ks(most):
        columns += [
            (Column(f"pass@{k}", percent), _at(k, lambda found: found.pass_at_k)),
            (Column(f"maj@{k}", percent), _at(k, lambda found: found.maj_at_k)),
        ]
    columns += [
        (Column("no answer"), lambda row: row.figures.abstained),
        (Column("cut"), lambda row: row.figures.cut),
        *_if_any(rows, "failed", lambda row: row.figures.failed),
        *_if_any(rows, "cancelled", lambda row: row.figures.cancelled),
        *_if_any(rows, "missing", lambda row: row.missing),
        (Column("tokens", count, missing="unknown"), lambda row: row.figures.tokens.mean),
        *_if_any(rows, "cost", lambda row: row.figures.cost, "{:.4g}".format),
    ]
    cells = [[value(row) for _, value in columns] for row in rows]
    return Sheet(title, [column for column, _ in columns], cells, _notes(rows))


def _solved(pair: Sequence[float]) -> str:
    return f"{pair[0]:.4g}/{pair[1]}"


def _counts(row: RunRow) -> tuple[float, int]:
    found = row.figures
    return found.pass_at_1.value * found.problems, found.problems


def _ends(row: RunRow) -> tuple[float, float]:
    return row.figures.pass_at_1.low, row.figures.pass_at_1.high


def _at(k: int, curve: Callable[[Figures], Sequence[float]]) -> Callable[[RunRow], Any]:
    """Return what reads a curve at `k`; `None` where a row has fewer samples."""
    return lambda row: curve(row.figures)[k - 1] if len(curve(row.figures)) >= k else None


def _if_any(
    rows: Sequence[RunRow], name: str, value: Callable[[RunRow], Any],
    show: Callable[[Any], str] = str,
) -> list[tuple[Column, Callable[[RunRow], Any]]]:  # fmt: skip
    return [(Column(name, show), value)] if any(value(row) for row in rows) else []


def _notes(rows: Sequence[RunRow]) -> list[str]:
    notes = []
    if any(row.figures.failed or row.figures.cut for row in rows):
        notes.append(COUNTED)
    for row in rows:
        found = row.figures
        where = f"{row.run}: {found.name}" if row.run else found.name
        if found.uncounted:
            notes.append(
                f"{where}: the server reported no usage for {found.uncounted} answers; their tokens"
                " are unknown"
            )
        if row.changed:
            notes.append(f"{where}: made with uncommitted changes ({row.commit})")
    if any(early(row.context) for row in rows):
        notes.append(STOPPED)
    return notes


def comparison_tables(made: Sequence[PairedComparison], *, every: bool) -> list[Sheet]:
    """Return the comparisons, and their problems: those that differ, or `every` one."""
    return [_pairs(made), *(_problems(each, every=every) for each in made)]


def _pairs(made: Sequence[PairedComparison]) -> Sheet:
    columns = [
        Column("first, then", ",\n".join, text=True, parts=("first run", "second run")),
        Column("problems"), Column("first", percent), Column("then", percent),
        Column("change", signed), Column("95% interval", signed_interval, parts=ENDS),
        Column("gained / lost", _gained, parts=("gained", "lost")), Column("p", p_value),
    ]  # fmt: skip
    more = [name for name in ("failed", "missing") if any(_both(each, name) for each in made)]
    columns += [Column(name) for name in more]
    rows = []
    for each in made:
        share = each.difference
        row: list[Any] = [
            (each.one, each.two), each.problems, each.first, each.second,
            share.value, (share.low, share.high), (each.gained, each.lost), each.p,
        ]  # fmt: skip
        row += [_both(each, name) for name in more]
        rows.append(row)
    notes = dict.fromkeys(note for each in made for note in each.warnings())
    return Sheet("", columns, rows, list(notes))


def _both(each: PairedComparison, name: str) -> str:
    first, second = (getattr(side, name) for side in each.sides)
    return f"{first}, {second}" if first or second else ""


def _gained(pair: Sequence[float]) -> str:
    return f"{pair[0]:.4g}/{pair[1]:.4g}"


def _problems(each: PairedComparison, *, every: bool) -> Sheet:
    differ = [pair for pair in each.by_problem if abs(pair.second - pair.first) > 1e-9]
    differ.sort(key=lambda pair: pair.second - pair.first)
    kept: Sequence[ComparedProblem] = each.by_problem if every else differ[:SHOWN]
    columns = [
        Column("problem", text=True), Column("first", percent), Column("then", percent),
        Column("change", signed), Column("gold", text=True),
        Column("first's answer", text=True), Column("then's answer", text=True),
    ]  # fmt: skip
    rows = [
        [pair.id, pair.first, pair.second, pair.second - pair.first, pair.gold,
         pair.first_answer, pair.second_answer]
        for pair in kept
    ]  # fmt: skip
    left = len(differ) - len(kept)
    notes = [f"{left} more problems differ; --problems lists all"] if left > 0 else []
    title = f"{each.one}, then {each.two}: {len(differ)} of {each.problems} problems differ"
    return Sheet(title, columns, rows, notes)
