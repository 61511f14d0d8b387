"""Which of many answers are equal: the votes of a panel.

Equality is not transitive: 5 is 5%, and 5% is 0.05; 5 is 5 cm, and 5 is 5 m. So a cluster is not
what equality reaches, but a set whose members are pairwise equal.
"""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias

from ..types import Answer
from .algebra.judge import Comparison, Judge, Watched
from .guard import compare

MOST_CHARACTERS = 6_000
"""Text of different answers, none of them an integer, that one vote compares; beyond it answers
are equal only if they are written alike. Which ones are compared does not depend on their order."""

Key: TypeAlias = tuple[str, int | str]
"""The kind of an answer, and its integer or its text without spaces."""


def cluster(answers: Sequence[Answer | None], judge: Judge | None = None) -> list[list[int]]:
    """Return groups of indices into `answers` that are pairwise equal; an abstention is in none.

    An answer that fits two groups joins the one whose spelling is nearest, then the larger one.
    The groups do not depend on the order of `answers`; they come in the order of their first index.
    A `Watched` judge ends the comparing when its time is up; from then on answers are equal only if
    they are written alike.
    """
    alike: dict[Key, list[int]] = {}
    distinct: dict[Key, Answer] = {}
    for index, answer in enumerate(answers):
        if answer is not None:
            key = key_of(answer)
            alike.setdefault(key, []).append(index)
            # 100,200,300 is 100200300 and a list: whoever came first, its reading as a list counts.
            if key not in distinct or "," in answer.text:
                distinct[key] = answer
    equal = _equalities(distinct, judge)
    weights = {key: len(indices) for key, indices in alike.items()}
    groups = _cliques(equal, weights)
    return sorted(sorted(i for key in group for i in alike[key]) for group in groups)


def key_of(answer: Answer) -> Key:
    """Return what answers that are written alike share: they are in one cluster, whatever comes."""
    if answer.kind == "label":
        return answer.kind, answer.text.casefold()
    if answer.kind != "math":
        return answer.kind, answer.text
    return answer.kind, answer.key if answer.integer is None else answer.integer


def _equalities(distinct: Mapping[Key, Answer], judge: Judge | None) -> dict[Key, set[Key]]:
    """Return for each key those that its answer equals, itself included."""
    compared = _within_limit(distinct)
    equal = {key: {key} for key in distinct}
    keys = sorted(distinct, key=_order)
    for position, a in enumerate(keys):
        for b in keys[:position]:
            worth = a in compared and b in compared and not _are_integers(a, b)
            if worth and _equal(distinct[a], distinct[b], judge):
                equal[a].add(b)
                equal[b].add(a)
    return equal


def _within_limit(distinct: Mapping[Key, Answer]) -> set[Key]:
    """Return the keys of what is compared: integers, and texts from the shortest to the limit."""
    left = MOST_CHARACTERS
    compared = {key for key in distinct if isinstance(key[1], int)}
    for key in sorted((key for key in distinct if key not in compared), key=_order):
        if key[0] != "math":
            continue  # equal only if it is written alike
        left -= len(str(key[1]))
        if left < 0:
            break
        compared.add(key)
    return compared


def _are_integers(a: Key, b: Key) -> bool:
    """Tell whether both keys are integers: different ones are different."""
    return isinstance(a[1], int) and isinstance(b[1], int)


def _equal(a: Answer, b: Answer, judge: Judge | None) -> bool:
    if isinstance(judge, Watched) and judge.over(a.text):
        return False
    return compare(a, b, judge) is Comparison.EQUAL


def _order(key: Key) -> tuple[int, str, str]:
    text = _spelling(key)
    return len(text), text, key[0]


def _spelling(key: Key) -> str:
    # A huge integer has no decimal text in Python's limits; its hexadecimal one will do.
    value = key[1]
    return value if isinstance(value, str) else str(value) if abs(value) < 10**400 else hex(value)


def _cliques(equal: Mapping[Key, set[Key]], weights: Mapping[Key, int]) -> list[set[Key]]:
    """Return sets of pairwise equal keys that cover all.

    A key whose neighbours are all equal to one another can only be in one set. The others are
    between sets: each joins one, in an order that their weight and spelling give.
    """
    sure = {key for key in equal if all(equal[key] <= equal[other] for other in equal[key])}
    groups: list[set[Key]] = []
    for key in sorted(sure, key=_order):
        home = next((group for group in groups if group & equal[key]), None)
        if home is None:
            groups.append({key})
        else:
            home.add(key)
    for key in sorted(set(equal) - sure, key=lambda key: (-weights[key], _order(key))):
        fitting = [group for group in groups if group <= equal[key]]
        if fitting:
            max(fitting, key=lambda group: _fitness(key, group, weights)).add(key)
        else:
            groups.append({key})
    return groups


def _fitness(
    key: Key, group: set[Key], weights: Mapping[Key, int]
) -> tuple[float, int, tuple[int, str, str]]:
    """Return how well a key fits a group: by the nearest spelling, its size, and a fixed order."""
    text = _spelling(key)
    nearest = max(SequenceMatcher(None, text, _spelling(other)).ratio() for other in group)
    return nearest, sum(weights[other] for other in group), min(map(_order, group))
