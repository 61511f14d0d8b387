"""Two models on the same problems, one by one: what differs, and whether it is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from its.answers.algebra.workers import Workers

from ..samples import RunError, Sample
from . import estimators
from .estimators import Interval
from .figures import by_problem
from .scores import samples_by_model


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the problems that both were asked.

    `difference` is the second's pass@1 less the first's, with a paired bootstrap interval.
    `p` is of the same differences; `gained` and `lost` are problems that only one solves in most
    samples.
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


def compare(one: str, first: Sequence[Sample], two: str, second: Sequence[Sample]) -> Comparison:
    """Compare two models' samples on the problems that both have.

    Raises:
        RunError: there are none, or a problem has another gold answer or prompt in the second run.
    """
    a, b = by_problem(first), by_problem(second)
    shared = [key for key in a if key in b]
    if not shared:
        raise RunError(f"{one} and {two} share no problem")
    for key in shared:
        if (a[key][0].gold, a[key][0].prompt) != (b[key][0].gold, b[key][0].prompt):
            raise RunError(f"{key} is not the same problem in {one} and {two}")
    x = [fmean(s.correct for s in a[key]) for key in shared]
    y = [fmean(s.correct for s in b[key]) for key in shared]
    solved = [[share > 0.5 for share in shares] for shares in (x, y)]
    return Comparison(
        one=one,
        two=two,
        problems=len(shared),
        first=fmean(x),
        second=fmean(y),
        difference=estimators.paired_difference(x, y),
        gained=sum(after and not before for before, after in zip(*solved, strict=True)),
        lost=sum(before and not after for before, after in zip(*solved, strict=True)),
        p=estimators.paired_p(x, y),
    )


def compare_folders(one: Path, two: Path, graders: Workers) -> list[Comparison]:
    """Compare what two runs have in common: models of one name, else the runs' own models.

    Raises:
        RunError: there is no run in a folder, or the runs share no problem.
    """
    first = samples_by_model(one, graders)
    second = samples_by_model(two, graders)
    a, b = (str(one), str(two)) if one.name == two.name else (one.name, two.name)
    names = [name for name in first if name in second]
    if names:
        return [
            compare(f"{a}: {name}", first[name], f"{b}: {name}", second[name]) for name in names
        ]
    x, y = list(first)[-1], list(second)[-1]
    return [compare(f"{a}: {x}", first[x], f"{b}: {y}", second[y])]


def within(folder: Path, graders: Workers) -> list[Comparison]:
    """Compare each member of a panel's run with the panel.

    Raises:
        RunError: it is no run of a panel that heard all its members.
    """
    found = samples_by_model(folder, graders)
    panel = list(found)[-1]
    if len(found) == 1:
        raise RunError(
            f"{folder}: {panel} has no members to compare with: it is no panel, or it stopped early"
            " (then measure it with `early_stop = false` in the proxy's configuration)"
        )
    return [compare(name, found[name], panel, found[panel]) for name in found if name != panel]
