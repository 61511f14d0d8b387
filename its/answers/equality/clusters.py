"""Which of many answers are equal: the votes of a panel."""

from collections.abc import Sequence

from ...types import Answer
from ..algebra.judge import Comparison, Judge, Watched
from ..guard import compare

MOST_CHARACTERS = 6_000
"""Text of different answers, none of them an integer, that one vote compares; beyond it answers
are equal only if they are written alike. Which ones are compared does not depend on their order."""


def cluster(answers: Sequence[Answer | None], judge: Judge | None = None) -> list[list[int]]:
    """Return groups of indices into `answers` that are equal; an abstention is in no group.

    Groups are the connected components of EQUAL, so that the order of arrival cannot matter;
    they come in the order of their first index. A `Watched` judge ends the comparing when its time
    is up; from then on answers are equal only if they are written alike.
    """
    alike: dict[int | str, list[int]] = {}
    distinct: dict[int | str, Answer] = {}
    for index, answer in enumerate(answers):
        if answer is not None:
            key = answer.key if answer.integer is None else answer.integer
            alike.setdefault(key, []).append(index)
            # 100,200,300 is 100200300 and a list: whoever came first, its reading as a list counts.
            if key not in distinct or "," in answer.text:
                distinct[key] = answer
    groups: list[set[int | str]] = []
    compared = _within_limit(distinct)
    for key, answer in distinct.items():
        near = [
            group
            for group in groups
            if any(
                _may_be_equal(key, other, compared) and _equal(answer, distinct[other], judge)
                for other in group
            )
        ]
        groups = [group for group in groups if group not in near]
        groups.append({key}.union(*near))
    return sorted(sorted(i for key in group for i in alike[key]) for group in groups)


def _within_limit(distinct: dict[int | str, Answer]) -> set[int | str]:
    """Return the keys of what is compared: integers, and texts from the shortest to the limit."""
    left = MOST_CHARACTERS
    compared: set[int | str] = {key for key in distinct if isinstance(key, int)}
    for key in sorted((key for key in distinct if isinstance(key, str)), key=lambda k: (len(k), k)):
        left -= len(key)
        if left < 0:
            break
        compared.add(key)
    return compared


def _may_be_equal(a: int | str, b: int | str, compared: set[int | str]) -> bool:
    """Tell whether two keys are worth a comparison: different integers are different."""
    return not (isinstance(a, int) and isinstance(b, int)) and a in compared and b in compared


def _equal(a: Answer, b: Answer, judge: Judge | None) -> bool:
    if isinstance(judge, Watched) and judge.over(a.text):
        return False
    return compare(a, b, judge) is Comparison.EQUAL
