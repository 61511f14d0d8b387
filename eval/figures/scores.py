"""The figures of one run: of its model, and of each member of a panel by the panel's ballots."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from its.answers.algebra.workers import Workers

from ..ballots import ballot_thinking
from ..errors import EvalError
from ..grading.samples import graded
from ..grading.scorers import Scorer, scorer_of
from ..samples import EvalSample, RunFolder, run_folders
from .figures import Figures, Prices, figures_of, scaling_of
from .sources import sources_of

EARLY = ", early"
CANCELLED = "cancelled"
ScoreRows: TypeAlias = list[tuple[str, Figures]]
"""For each model of a run: the context it was asked with, and its figures."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One model of one of several runs, as a report shows it.

    `missing` calls of the run have no row yet. `commit` is the project's when the run was made; a
    `+` at its end says that files had been changed.
    """

    run: str
    task: str
    context: str
    figures: Figures
    missing: int = 0
    commit: str | None = None

    @property
    def changed(self) -> bool:
        return bool(self.commit and self.commit.endswith("+"))

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        about = {key: getattr(self, key) for key in ("run", "task", "context", "missing", "commit")}
        return {**about, **asdict(self.figures)}


NOTE = (
    "Intervals are score intervals over {problems} problems. One run of 30 problems is uncertain by"
    " about 17 points either way."
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
    own = figures_of(model, samples, graders.judge, prices)
    return [*rows, (label, replace(own, cancelled=cancelled(samples)))]


def run_rows(folders: Iterable[Path], graders: Workers) -> list[RunRow]:
    """Return the rows of several runs; `folders` may be folders of runs.

    A run is called by its folder, and by the folder's path where two have one name. A task is
    called by its name, and by its hash too where two have one name.

    Raises:
        EvalError: there is no run in a folder.
    """
    named = run_names(folders)
    abouts = [RunFolder(place).about() for place in named.values()]
    hashes: dict[str, set[str]] = {}
    for about in abouts:
        settings = about["settings"]
        hashes.setdefault(str(settings.get("task")), set()).add(str(settings.get("task_sha256")))
    rows = []
    for (name, place), about in zip(named.items(), abouts, strict=True):
        run, task = RunFolder(place), str(about["settings"].get("task"))
        if len(hashes[task]) > 1:
            task += f" (SHA-256 {str(about['settings'].get('task_sha256'))[:8]})"
        rows += [
            RunRow(name, task, context, found, missing(run), about["commit"])
            for context, found in scores(run, graders)
        ]
    return rows


def run_names(folders: Iterable[Path]) -> dict[str, Path]:
    """Return runs by their names: the folder's, or its path where two have one name."""
    places = run_folders(folders)
    short = Counter(place.name for place in places)
    return {place.name if short[place.name] == 1 else str(place): place for place in places}


def missing(run: RunFolder) -> int:
    """Return how many of a run's calls have no row yet.

    Raises:
        EvalError: there is no run in the folder.
    """
    settings = run.settings()
    planned = int(settings.get("problems") or 0) * int(settings.get("samples") or 1)
    return max(0, planned - len(run.outcomes()))


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
        "partial": missing(run) > 0,
        "missing": missing(run),
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
    if scorer:
        return [
            (name, strategy, [graded(ballot, graders, scorer) for ballot in cast])
            for name, strategy, cast in members
        ]
    known: dict[tuple[str, str, str | None], bool] = {}  # one answer is given many times

    def of(ballot: EvalSample) -> EvalSample:
        key = ballot.gold, ballot.answer_kind, ballot.answer
        if key not in known:
            known[key] = graded(ballot, graders).correct
        return replace(ballot, correct=known[key])

    return [(name, strategy, [of(ballot) for ballot in cast]) for name, strategy, cast in members]


def cancelled(samples: Sequence[EvalSample]) -> int:
    """Return how many calls a panel cancelled."""
    ballots = (ballot for sample in samples for ballot in sample.input_time.get("ballots") or [])
    return sum(ballot["outcome"] == CANCELLED for ballot in ballots)


def _ballot_error(ballot: Mapping[str, Any]) -> str | None:
    if ballot["outcome"] in {"voted", "abstained"}:
        return None
    return str(ballot.get("error") or ballot["outcome"])


def _by_member(samples: Sequence[EvalSample]) -> list[tuple[str, str, list[EvalSample]]]:
    """Return name, strategy and ungraded ballots of each member.

    Where the panel's call failed, each member's counts as failed too: all have the same problems.
    """
    members: dict[str, tuple[str, list[EvalSample]]] = {}
    for sample in samples:
        for ballot in sample.input_time.get("ballots") or []:
            _, cast = members.setdefault(ballot["member"], (ballot.get("strategy") or "", []))
            cast.append(ballot_sample(sample, ballot))
    failed = [each for each in samples if each.error and not each.input_time.get("ballots")]
    return [(name, strategy, cast + failed) for name, (strategy, cast) in members.items()]


def ballot_samples(sample: EvalSample) -> list[tuple[Mapping[str, Any], EvalSample]]:
    """Return the ballots of a panel's sample: as the proxy told them, and as ungraded samples."""
    cast: list[Mapping[str, Any]] = sample.input_time.get("ballots") or []
    return [(ballot, ballot_sample(sample, ballot)) for ballot in cast]


def ballot_sample(sample: EvalSample, ballot: Mapping[str, Any]) -> EvalSample:
    """Return a panel's ballot as the sample that its member would have been."""
    answer = ballot.get("answer")
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
        thinking_tokens=ballot_thinking(ballot),
        seconds=ballot.get("seconds") or 0.0,
        error=_ballot_error(ballot),
    )


def _strategy(samples: Sequence[EvalSample]) -> str:
    found = {str(sample.input_time.get("strategy") or "") for sample in samples if not sample.error}
    return ", ".join(sorted(found - {""})) or "-"
