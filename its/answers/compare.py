"""Whether two answers are equal, and which of many are: the votes of a panel."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeAlias

from ..types import Answer


class Comparison(Enum):
    """The outcome of comparing two answers; `UNDECIDED` counts as not equal and is reported."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


Judge: TypeAlias = Callable[[str, str], Comparison]
"""Decides symbolic equality of two normalised texts. The edge builds it; the core calls it."""


def compare(a: Answer, b: Answer, judge: Judge | None = None) -> Comparison:
    """Compare integers as integers and anything else as normalised text; then ask `judge`."""
    if a.integer is not None and b.integer is not None:
        return Comparison.EQUAL if a.integer == b.integer else Comparison.DIFFERENT
    if a.text == b.text:
        return Comparison.EQUAL
    return judge(a.text, b.text) if judge else Comparison.DIFFERENT


def cluster(answers: Sequence[Answer | None], judge: Judge | None = None) -> list[list[int]]:
    """Return groups of indices into `answers` that are equal; an abstention is in no group.

    Groups are the connected components of EQUAL, so that the order of arrival cannot matter;
    they come in the order of their first index.
    """
    same: dict[Answer, list[int]] = {}
    for index, answer in enumerate(answers):
        if answer is not None:
            same.setdefault(answer, []).append(index)
    groups: list[tuple[list[Answer], list[int]]] = []
    for answer, indices in same.items():
        joined = [g for g in groups if any(_equal(answer, other, judge) for other in g[0])]
        groups = [g for g in groups if g not in joined]
        groups.append(
            (
                [answer, *(a for g in joined for a in g[0])],
                sorted([*indices, *(i for g in joined for i in g[1])]),
            )
        )
    return sorted(indices for _, indices in groups)


def _equal(a: Answer, b: Answer, judge: Judge | None) -> bool:
    return compare(a, b, judge) is Comparison.EQUAL
