"""What the terminal shows of runs: one row for each model, and for each member of a panel."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from its.answers.algebra.workers import Workers

from .figures import Figures, Prices, figures, scaled
from .run import graded
from .samples import RunError, RunFolder, Sample

EARLY = ", early"
CANCELLED = "cancelled"
STOPPED = (
    "early: the panel stopped as soon as it was settled. Calls that it cancelled have no answer,"
    " and are no chance draw: its members' own figures would mislead and are left out."
)
NOTE = (
    "Intervals are bootstraps over problems: {problems} of them. One run of 30 problems is"
    " uncertain by about 17 points either way."
)


def table(rows: Sequence[tuple[str, Figures]], title: str) -> Table:
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
            f"{found.tokens.mean:.0f}",
        )
    if any(early(strategy) for strategy, _ in rows):
        shown.caption, shown.caption_justify = STOPPED, "left"
    return shown


def early(context: str) -> bool:
    """Say whether a row is a panel's that stopped before all had answered."""
    return context.endswith(EARLY)


def _last(found: Figures, most: int) -> list[str]:
    """Return pass@k and maj@k at the largest k of the table, where the run has as many samples."""
    if most == 1:
        return []
    if len(found.maj_at_k) < most:
        return ["-", "-"]
    return [f"{found.pass_at_k[-1]:.1%}", f"{found.maj_at_k[-1]:.1%}"]


def grades(found: Mapping[str, float], title: str) -> Table:
    """Return the figures of a graded file (`grade.summary`) as a table of one row."""
    shown = Table(title=title, title_justify="left", title_style="bold", padding=(0, 1, 0, 0))
    for column in ("right", "false neg.", "false pos.", "undecided", "ms p50", "p95", "max"):
        shown.add_column(column, justify="right", no_wrap=True)
    total = found["total"] or 1
    shown.add_row(
        f"{found['right']}/{found['total']} ({found['right'] / total:.2%})",
        *(str(found[key]) for key in ("false_negatives", "false_positives", "undecided")),
        *(f"{found[key]:.2f}" for key in ("ms_p50", "ms_p95", "ms_max")),
    )
    return shown


def scores(
    folder: Path, graders: Workers, prices: Prices | None = None
) -> list[tuple[str, Figures]]:
    """Return the rows of one run: a panel's members, as its ballots show them, then the panel.

    Raises:
        RunError: there is no run in `folder`.
    """
    run = RunFolder(folder)
    model = run.settings()["model"]
    samples = list(run.latest().values())
    rows = [
        (strategy, figures(member, cast, graders.judge))
        for member, strategy, cast in _members(samples, graders)
    ]
    if not samples:
        return rows
    members = len(_by_member(samples))
    label = f"vote of {members}{'' if rows else EARLY}" if members else _strategy(samples)
    return [*rows, (label, figures(model, samples, graders.judge, prices))]


def samples_by_model(folder: Path, graders: Workers) -> dict[str, list[Sample]]:
    """Return a run's samples: a panel's members as its ballots show them, then its own model.

    Raises:
        RunError: there is no run in `folder`, or nothing in it yet.
    """
    run = RunFolder(folder)
    samples = list(run.latest().values())
    if not samples:
        raise RunError(f"{folder} has no samples yet")
    members = {name: cast for name, _, cast in _members(samples, graders)}
    return {**members, run.settings()["model"]: samples}


def summary(folder: Path, graders: Workers, prices: Prices | None = None) -> dict[str, Any]:
    """Return the run's figures as `summary.json` has them.

    Raises:
        RunError: there is no run in `folder`.
    """
    run = RunFolder(folder)
    samples = list(run.latest().values())
    rows, settings = scores(folder, graders, prices), run.settings()
    return {
        "settings": settings,
        "partial": len(samples) < settings["problems"] * settings["samples"],
        "models": [{"context": context, **found.plain()} for context, found in rows],
        "scaling": scaled(samples) if samples else None,
        "note": NOTE.format(problems=rows[-1][1].problems if rows else 0),
    }


def _members(samples: Sequence[Sample], graders: Workers) -> list[tuple[str, str, list[Sample]]]:
    """Return name, strategy and graded ballots of each member; none where calls were cancelled."""
    members = _by_member(samples)
    if any(ballot.error == CANCELLED for _, _, cast in members for ballot in cast):
        return []
    return [
        (name, strategy, [graded(ballot, graders) for ballot in cast])
        for name, strategy, cast in members
    ]


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
        answer_kind=sample.answer_kind,
        finish_reason=ballot.get("finish_reason"),
        tokens=(ballot.get("usage") or {}).get("completion_tokens") or 0,
        error=None if voted else ballot.get("error") or ballot["outcome"],
    )


def _strategy(samples: Sequence[Sample]) -> str:
    found = {str(sample.input_time.get("strategy") or "") for sample in samples if not sample.error}
    return ", ".join(sorted(found - {""})) or "-"
