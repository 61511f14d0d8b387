"""The figures of one run: of its model, and of each member of a panel by the panel's ballots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from its.answers.algebra.workers import Workers

from ..grading.samples import graded
from ..samples import RunError, RunFolder, Sample
from .figures import Figures, Prices, figures, scaled

EARLY = ", early"
CANCELLED = "cancelled"
NOTE = (
    "Intervals are bootstraps over problems: {problems} of them. One run of 30 problems is"
    " uncertain by about 17 points either way."
)


def early(context: str) -> bool:
    """Say whether a row is a panel's that stopped before all had answered."""
    return context.endswith(EARLY)


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
