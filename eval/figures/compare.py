"""Compare two models on the problems that both were asked: the difference, and a paired test."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from its.answers.algebra.workers import Workers

from ..errors import EvalError
from ..samples import EvalSample, RunFolder
from . import intervals
from .estimators import Interval
from .figures import by_problem
from .scores import CANCELLED, samples_by_model

_DIGITS = re.compile(r"(\d+)")

UNCOMPARED = frozenset({"model", "said_by"})
"""Settings that differ because two models are compared."""


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One side of a comparison, and what of it is no plain answer.

    `planned` calls were to be made for the whole run, `missing` of them have no row (the run is
    partial). The other counts are of calls to the problems compared: `failed` ones count as wrong,
    `cut` ones by what was answered before the cut, `cancelled` ones failed because a panel was
    settled. `left_out` problems of this side have no pair.
    """

    name: str
    problems: int
    samples: int
    planned: int
    missing: int
    failed: int
    cancelled: int
    cut: int
    no_answer: int
    left_out: int


@dataclass(frozen=True, slots=True)
class ComparedProblem:
    """One problem: the shares of right samples on both sides, and what was answered most."""

    id: str
    first: float
    second: float
    gold: str
    first_answer: str | None
    second_answer: str | None


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two models, `one` and `two`, on the problems that both were asked.

    `first` and `second` are their pass@1 there, as shares. `difference` is `second` less `first`
    with its 95% interval, `p` the two-sided p-value that they are alike (`intervals.paired`).
    `gained` is the expected number of problems that one sample of `two` solves and one of `one`
    does not: unbiased for any numbers of samples, a count where each has one. `lost` is the other
    way round. `settings` are those that differ: what each side has.
    """

    one: str
    two: str
    problems: int
    first: float
    second: float
    difference: Interval
    gained: float
    lost: float
    p: float
    sides: tuple[ComparedSide, ComparedSide]
    settings: Mapping[str, tuple[Any, Any]]
    by_problem: tuple[ComparedProblem, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as JSON has it."""
        return asdict(self)

    def warnings(self) -> list[str]:
        """Say what makes the difference less than it seems, or another thing."""
        told = []
        for side in self.sides:
            found = [f"{number} {what}" for number, what in _faults(side) if number]
            if found:
                told.append(f"{side.name}: {', '.join(found)}")
        for key, (one, two) in self.settings.items():
            told.append(f"{key} differs: {one!r} and {two!r}")
        return told


@dataclass(frozen=True, slots=True)
class RunModel:
    """One model of a run, as a side of a comparison: its samples, and what is known of the run."""

    name: str
    samples: Sequence[EvalSample]
    about: Mapping[str, Any]

    @property
    def planned(self) -> int:
        settings = self.about.get("settings") or {}
        return int(settings.get("problems") or 0) * int(settings.get("samples") or 1)


def compare(one: RunModel, two: RunModel) -> PairedComparison:
    """Compare two models' samples on the problems that both have.

    Raises:
        EvalError: they share no problem, or a problem has other text or gold in `two`.
    """
    a, b = by_problem(one.samples), by_problem(two.samples)
    shared = sorted((key for key in a if key in b), key=_natural)
    if not shared:
        raise EvalError(f"{one.name} and {two.name} share no problem")
    for key in shared:
        if (a[key][0].gold, a[key][0].prompt) != (b[key][0].gold, b[key][0].prompt):
            raise EvalError(f"{key} is not the same problem in {one.name} and {two.name}")
    pairs = [_pair(key, a[key], b[key]) for key in shared]
    x, y = [pair.first for pair in pairs], [pair.second for pair in pairs]
    same = all(len(a[key]) == len(b[key]) for key in shared)
    tested = intervals.paired(x, y, same_samples=same)
    return PairedComparison(
        one=one.name,
        two=two.name,
        problems=len(shared),
        first=fmean(x),
        second=fmean(y),
        difference=tested.difference,
        gained=sum(after * (1 - before) for before, after in zip(x, y, strict=True)),
        lost=sum(before * (1 - after) for before, after in zip(x, y, strict=True)),
        p=tested.p,
        sides=(_side(one, a, shared), _side(two, b, shared)),
        settings=differing(one.about, two.about),
        by_problem=tuple(pairs),
    )


def compare_folders(one: Path, two: Path, graders: Workers) -> list[PairedComparison]:
    """Compare every model and member that both runs have; if there is none, the runs' own models.

    Raises:
        EvalError: a folder has no run or no samples yet, or `compare` refuses.
    """
    names = (str(one), str(two)) if one.name == two.name else (one.name, two.name)
    runs = RunFolder(one), RunFolder(two)
    first, second = (samples_by_model(run, graders) for run in runs)
    shared = [name for name in first if name in second]
    pairs = [(name, name) for name in shared] or [(list(first)[-1], list(second)[-1])]
    abouts = [run.about() for run in runs]
    return [
        compare(
            RunModel(f"{names[0]}: {a}", first[a], abouts[0]),
            RunModel(f"{names[1]}: {b}", second[b], abouts[1]),
        )
        for a, b in pairs
    ]


def compare_with_members(folder: Path, graders: Workers) -> list[PairedComparison]:
    """Compare each member of a panel's run with the panel.

    Raises:
        EvalError: the folder has no run or no samples yet; or its model is no panel, or a panel
            that cancelled calls, so that its members' samples are incomplete.
    """
    run = RunFolder(folder)
    found = samples_by_model(run, graders)
    about = run.about()
    panel = list(found)[-1]
    if len(found) == 1:
        raise EvalError(
            f"{folder}: {panel} has no members to compare with: it is no panel, or it stopped early"
            " (then measure it with `early_stop = false` in the proxy's configuration)"
        )
    whole = RunModel(panel, found[panel], about)
    return [
        compare(RunModel(name, samples, about), whole)
        for name, samples in found.items()
        if name != panel
    ]


def _natural(key: str) -> list[tuple[int, str]]:
    """Return what sorts `p2` before `p10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(key)]


def differing(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what two runs were asked differently: settings, what was settled, server, commit."""
    first, second = _told(one), _told(two)
    keys = [key for key in dict.fromkeys([*first, *second]) if key not in UNCOMPARED]
    return {
        key: (first.get(key), second.get(key)) for key in keys if first.get(key) != second.get(key)
    }


def _told(about: Mapping[str, Any]) -> dict[str, Any]:
    asked = {f"asked {key}": value for key, value in (about.get("asked") or {}).items()}
    asked.pop("asked said_by", None)
    whole = {"server": about.get("base_url"), "commit": about.get("commit")}
    return {**(about.get("settings") or {}), **asked, **whole, **_server(about)}


def _server(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the server told of the model and itself, where the run has it."""
    known = about.get("server")
    told = (
        {f"server {key}": value for key, value in known.items()} if isinstance(known, dict) else {}
    )
    parts = about.get("parts") or []
    return {**told, **({"parts": len(parts)} if len(parts) > 1 else {})}


def _pair(key: str, one: Sequence[EvalSample], two: Sequence[EvalSample]) -> ComparedProblem:
    return ComparedProblem(
        id=key,
        first=fmean(sample.correct for sample in one),
        second=fmean(sample.correct for sample in two),
        gold=one[0].gold,
        first_answer=_commonest(one),
        second_answer=_commonest(two),
    )


def _commonest(samples: Sequence[EvalSample]) -> str | None:
    given = [sample.answer for sample in samples if sample.answer is not None]
    return max(given, key=given.count) if given else None


def _side(
    model: RunModel, problems: Mapping[str, Sequence[EvalSample]], shared: Sequence[str]
) -> ComparedSide:
    samples = [sample for key in shared for sample in problems[key]]
    answered = [sample for sample in samples if sample.error is None]
    return ComparedSide(
        name=model.name,
        problems=len(shared),
        samples=len(samples),
        planned=model.planned,
        missing=max(0, model.planned - len(model.samples)),
        failed=len(samples) - len(answered),
        cancelled=sum(sample.error == CANCELLED for sample in samples),
        cut=sum(sample.finish_reason == "length" for sample in answered),
        no_answer=sum(sample.answer is None for sample in answered),
        left_out=len(problems) - len(shared),
    )


def _faults(side: ComparedSide) -> list[tuple[int, str]]:
    return [
        (side.failed, f"of {side.samples} calls failed and count as wrong"),
        (side.missing, f"of {side.planned} calls are missing: the run is partial"),
        (side.cut, "answers were cut; they count by what stands before the cut"),
        (side.no_answer, "answers could not be read and count as wrong"),
        (side.left_out, "problems have no pair and are left out"),
    ]
