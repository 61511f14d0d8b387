"""The figures of one run: of its model, and of each member of a panel by the panel's ballots."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from its.answers.algebra.workers import Workers

from ..errors import EvalError
from ..grading.samples import graded
from ..grading.scorers import Scorer, scorer_of
from ..samples import EvalSample, RunFolder
from .figures import Figures, Prices, figures_of, scaling_of
from .sources import sources_of

EARLY = ", early"
CANCELLED = "cancelled"
ScoreRows: TypeAlias = list[tuple[str, Figures]]
"""For each model of a run: the context it was asked with, and its figures."""

NOTE = (
    "Intervals are bootstraps over problems: {problems} of them. One run of 30 problems is"
    " uncertain by about 17 points either way."
)


def early(context: str) -> bool:
    """Say whether a row is a panel's that stopped before all had answered."""
    return context.endswith(EARLY)


def scores(run: RunFolder, graders: Workers, prices: Prices | None = None) -> ScoreRows:
    """Return the rows of one run: a panel's members, as its ballots show them, then the panel.

    Raises:
        EvalError: there is no run in the folder.
    """
    model = run.settings()["model"]
    scorer = scorer_of(run.path)
    # A task's own scorer reads the ballots' texts; our grader needs only their answers.
    samples = list(run.samples() if scorer else run.outcomes().values())
    rows = [
        (strategy, figures_of(member, cast, graders.judge))
        for member, strategy, cast in _members(samples, graders, scorer)
    ]
    if not samples:
        return rows
    members = len(_by_member(samples))
    label = f"vote of {members}{'' if rows else EARLY}" if members else _strategy(samples)
    return [*rows, (label, figures_of(model, samples, graders.judge, prices))]


def samples_by_model(
    run: RunFolder, graders: Workers, *, texts: bool = False
) -> dict[str, list[EvalSample]]:
    """Return a run's samples: a panel's members as its ballots show them, then its own model.

    They come with their `texts`, or without (`EvalSample.light`), which needs much less memory.

    Raises:
        EvalError: there is no run in the folder, or nothing in it yet.
    """
    scorer = scorer_of(run.path)
    samples = list(run.samples() if texts or scorer else run.outcomes().values())
    if not samples:
        raise EvalError(f"{run.path} has no samples yet")
    members = {name: cast for name, _, cast in _members(samples, graders, scorer)}
    return {**members, run.settings()["model"]: samples}


def summary(run: RunFolder, found: ScoreRows) -> dict[str, Any]:
    """Return the run's settings and figures as `summary.json` has them.

    Raises:
        EvalError: there is no run in the folder.
    """
    samples, settings = list(run.outcomes().values()), run.settings()
    return {
        "settings": settings,
        "asked": run.about().get("asked"),
        "partial": len(samples) < settings["problems"] * settings["samples"],
        "models": [{"context": context, **asdict(figures)} for context, figures in found],
        "scaling": scaling_of(samples) if samples else None,
        "contexts": sources_of(samples),
        "note": NOTE.format(problems=found[-1][1].problems if found else 0),
    }


def _members(
    samples: Sequence[EvalSample], graders: Workers, scorer: Scorer | None
) -> list[tuple[str, str, list[EvalSample]]]:
    """Return name, strategy and graded ballots of each member; none where calls were cancelled."""
    members = _by_member(samples)
    if any(ballot.error == CANCELLED for _, _, cast in members for ballot in cast):
        return []
    return [
        (name, strategy, [graded(ballot, graders, scorer) for ballot in cast])
        for name, strategy, cast in members
    ]


def _by_member(samples: Sequence[EvalSample]) -> list[tuple[str, str, list[EvalSample]]]:
    members: dict[str, tuple[str, list[EvalSample]]] = {}
    for sample in samples:
        for ballot in sample.input_time.get("ballots") or []:
            _, cast = members.setdefault(ballot["member"], (ballot.get("strategy") or "", []))
            cast.append(_ballot(sample, ballot))
    return [(name, strategy, cast) for name, (strategy, cast) in members.items()]


def ballot_samples(sample: EvalSample) -> list[tuple[Mapping[str, Any], EvalSample]]:
    """Return the ballots of a panel's sample: as the proxy told them, and as ungraded samples."""
    cast: list[Mapping[str, Any]] = sample.input_time.get("ballots") or []
    return [(ballot, _ballot(sample, ballot)) for ballot in cast]


def _ballot(sample: EvalSample, ballot: Mapping[str, Any]) -> EvalSample:
    """Return a panel's ballot as the sample that its member would have been."""
    answer = ballot.get("answer")
    voted = ballot["outcome"] in {"voted", "abstained"}
    return EvalSample(
        id=sample.id,
        sample=sample.sample,
        seed=sample.seed,
        gold=sample.gold,
        prompt=sample.prompt,
        text=ballot.get("content"),
        answer=answer,
        answer_kind=sample.answer_kind,
        finish_reason=ballot.get("finish_reason"),
        tokens=(ballot.get("usage") or {}).get("completion_tokens"),
        error=None if voted else ballot.get("error") or ballot["outcome"],
    )


def _strategy(samples: Sequence[EvalSample]) -> str:
    found = {str(sample.input_time.get("strategy") or "") for sample in samples if not sample.error}
    return ", ".join(sorted(found - {""})) or "-"
