"""What the terminal shows of runs: one row for each model, and for each member of a panel."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from its.answers.workers import Workers

from .metrics import Score, score
from .run import graded
from .samples import RunFolder, Sample


def table(rows: Sequence[tuple[str, Score]], title: str) -> Table:
    """Return the figures of `(strategy, score)` rows as a table that fits 80 columns."""
    shown = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))
    shown.add_column("model")
    shown.add_column("context", no_wrap=True)
    some_failed = any(figures.failed for _, figures in rows)
    counts = ("abstained", "cut", *(["failed"] if some_failed else []), "tokens")
    for column in ("solved", "pass@1", "95% interval", *counts):
        shown.add_column(column, justify="right", no_wrap=True)
    for strategy, figures in rows:
        shown.add_row(
            figures.name,
            strategy,
            f"{figures.pass_at_1 * figures.problems:.4g}/{figures.problems}",
            f"{figures.pass_at_1:.1%}",
            f"{figures.low:.0%} - {figures.high:.0%}",
            str(figures.abstained),
            str(figures.cut),
            *([str(figures.failed)] if some_failed else []),
            f"{figures.tokens:.0f}",
        )
    return shown


def grades(figures: Mapping[str, float], title: str) -> Table:
    """Return the figures of a graded file (`grade.summary`) as a table of one row."""
    shown = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))
    for column in ("right", "false neg.", "false pos.", "undecided", "ms p50", "p95", "max"):
        shown.add_column(column, justify="right", no_wrap=True)
    total = figures["total"] or 1
    shown.add_row(
        f"{figures['right']}/{figures['total']} ({figures['right'] / total:.2%})",
        *(str(figures[key]) for key in ("false_negatives", "false_positives", "undecided")),
        *(f"{figures[key]:.2f}" for key in ("ms_p50", "ms_p95", "ms_max")),
    )
    return shown


def scores(folder: Path, graders: Workers) -> list[tuple[str, Score]]:
    """Return the rows of one run: a panel's members, as its ballots show them, then the panel.

    Raises:
        RunError: there is no run in `folder`.
    """
    run = RunFolder(folder)
    model = run.settings()["model"]
    samples = list(run.latest().values())
    rows = [
        (strategy, score(member, [graded(ballot, graders) for ballot in cast]))
        for member, strategy, cast in _by_member(samples)
        if cast
    ]
    if not samples:
        return rows
    label = f"vote of {len(rows)}" if rows else _strategy(samples)
    return [*rows, (label, score(model, samples))]


def _by_member(samples: Sequence[Sample]) -> list[tuple[str, str, list[Sample]]]:
    members: dict[str, tuple[str, list[Sample]]] = {}
    for sample in samples:
        for ballot in sample.input_time.get("ballots") or []:
            _, cast = members.setdefault(ballot["member"], (ballot.get("strategy") or "", []))
            cast.append(_ballot(sample, ballot))
    return [(name, strategy, cast) for name, (strategy, cast) in members.items()]


def _ballot(sample: Sample, ballot: Mapping[str, Any]) -> Sample:
    """Return a panel's ballot as the sample that its member would have been."""
    answer = ballot.get("answer")
    voted = ballot["outcome"] in {"voted", "abstained"}
    return Sample(
        id=sample.id,
        sample=sample.sample,
        seed=sample.seed,
        gold=sample.gold,
        prompt=sample.prompt,
        answer=answer,
        finish_reason=ballot.get("finish_reason"),
        tokens=(ballot.get("usage") or {}).get("completion_tokens") or 0,
        error=None if voted else ballot.get("error") or ballot["outcome"],
    )


def _strategy(samples: Sequence[Sample]) -> str:
    found = {str(sample.input_time.get("strategy") or "") for sample in samples if not sample.error}
    return ", ".join(sorted(found - {""})) or "-"
