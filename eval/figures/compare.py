"""Compare two models on the problems that both were asked: the difference, and a paired test."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from its.answers.algebra.workers import Workers

from ..errors import EvalError
from ..samples import EvalSample, RunFolder
from . import intervals
from .estimators import Interval
from .figures import by_problem
from .scores import samples_by_model


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two models, `one` and `two`, on the problems that both were asked.

    `first` and `second` are their pass@1 there, as shares. `difference` is `second` less `first`
    with its 95% interval (`intervals.paired_difference`); `p` is the two-sided p-value that they
    are alike (`permutation.paired_p`). `gained` counts problems that `two` solves in more than half
    of its samples and `one` does not; `lost` the other way round.
    """

    one: str
    two: str
    problems: int
    first: float
    second: float
    difference: Interval
    gained: int
    lost: int
    p: float


def compare(
    one: str, first: Sequence[EvalSample], two: str, second: Sequence[EvalSample]
) -> PairedComparison:
    """Compare two models' samples on the problems that both have.

    Raises:
        EvalError: they share no problem, or a problem has other text or gold in `second`.
    """
    a, b = by_problem(first), by_problem(second)
    shared = [key for key in a if key in b]
    if not shared:
        raise EvalError(f"{one} and {two} share no problem")
    for key in shared:
        if (a[key][0].gold, a[key][0].prompt) != (b[key][0].gold, b[key][0].prompt):
            raise EvalError(f"{key} is not the same problem in {one} and {two}")
    x = [fmean(s.correct for s in a[key]) for key in shared]
    y = [fmean(s.correct for s in b[key]) for key in shared]
    made = intervals.paired(x, y)
    solved = [[share > 0.5 for share in shares] for shares in (x, y)]
    return PairedComparison(
        one=one,
        two=two,
        problems=len(shared),
        first=fmean(x),
        second=fmean(y),
        difference=made.difference,
        gained=sum(after and not before for before, after in zip(*solved, strict=True)),
        lost=sum(before and not after for before, after in zip(*solved, strict=True)),
        p=made.p,
    )


def compare_folders(one: Path, two: Path, graders: Workers) -> list[PairedComparison]:
    """Compare every model and member that both runs have; if there is none, the runs' own models.

    Raises:
        EvalError: a folder has no run or no samples yet, or `compare` refuses.
    """
    first = samples_by_model(RunFolder(one), graders)
    second = samples_by_model(RunFolder(two), graders)
    a, b = (str(one), str(two)) if one.name == two.name else (one.name, two.name)
    names = [name for name in first if name in second]
    if names:
        return [
            compare(f"{a}: {name}", first[name], f"{b}: {name}", second[name]) for name in names
        ]
    x, y = list(first)[-1], list(second)[-1]
    return [compare(f"{a}: {x}", first[x], f"{b}: {y}", second[y])]


def compare_with_members(folder: Path, graders: Workers) -> list[PairedComparison]:
    """Compare each member of a panel's run with the panel.

    Raises:
        EvalError: the folder has no run or no samples yet; or its model is no panel, or a panel
            that cancelled calls, so that its members' samples are incomplete.
    """
    found = samples_by_model(RunFolder(folder), graders)
    panel = list(found)[-1]
    if len(found) == 1:
        raise EvalError(
            f"{folder}: {panel} has no members to compare with: it is no panel, or it stopped early"
            " (then measure it with `early_stop = false` in the proxy's configuration)"
        )
    return [compare(name, found[name], panel, found[panel]) for name in found if name != panel]
