"""Equations and inequalities: what value or interval they state, and when two say the same."""

import re
from functools import lru_cache
from typing import Protocol

from ..algebra.judge import Comparison
from .names import head, is_name
from .numbers import number
from .shapes import Group, Relation, Shape, Union
from .structure import shape

_LESS = {"<": False, "le": True}
_GREATER = {">": False, "ge": True}
_FLIPPED = {"<": ">", ">": "<", "le": "ge", "ge": "le"}
_INFINITY = r"\infty"
_ABSOLUTE = re.compile(r"\|\s*[A-Za-z]\s*([+-]\s*\d+(?:\.\d+)?(?:/\d+)?)?\s*\|")
_LETTER = re.compile(r"(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])")


REMEMBERED = 1024
"""Relations and sides of which it is kept what they state: a vote of n compares each n times."""


class Comparer(Protocol):
    """What compares the sides of relations."""

    def compare(self, a: Shape, b: Shape) -> Comparison: ...

    def scaled(self, a: str, b: str) -> float | None: ...


@lru_cache(REMEMBERED)
def value(relation: Relation) -> Shape | None:
    """Return what a name is said to be: 3 of `x = 3`, and of `x = 1 + 2 = 3` as well."""
    sides, signs = list(relation.sides), list(relation.signs)
    while signs and signs[-1] == "approx" and not (len(signs) == 1 and _is_named(sides[0])):
        sides.pop()  # what is given exactly counts, not its approximation
        signs.pop()
    if not signs:
        return _shape(sides[0] or relation.sides[-1])
    if signs == ["in"] or signs == ["to"]:
        return _shape(sides[1]) if is_name(sides[0]) or sides[0].startswith("(") else None
    if not set(signs) <= {"=", "approx", "equiv"}:
        return None
    if any(_is_named(side) for side in sides[:-1]) or not _LETTER.search(" ".join(sides)):
        return _shape(sides[-1])
    return _shape(sides[0]) if is_name(sides[-1]) and number(sides[0]) is not None else None


def _shape(side: str) -> Shape | None:
    return shape(side) if side else None


def _is_named(side: str) -> bool:
    """Tell whether a side names one thing, or a tuple of things: `x`, `(p, q)`."""
    inside = side[1:-1] if side.startswith("(") and side.endswith(")") else side
    return all(is_name(part) for part in inside.split(","))


@lru_cache(REMEMBERED)
def interval(relation: Relation) -> Shape | None:
    """Return the set of what satisfies an inequality in one name, or `None`."""
    sides, signs = _ascending(relation)
    if len(signs) == 1 and signs[0] in _LESS:
        low, high = sides
        if near := _ABSOLUTE.fullmatch(low.strip()):
            return _group("[" if _LESS[signs[0]] else "(", *_around(near[1], high), _LESS[signs[0]])
        if far := _ABSOLUTE.fullmatch(high.strip()):
            return _outside(*_around(far[1], low), closed=_LESS[signs[0]])
        if is_name(low) and number(low) is None:
            return _group("(", f"-{_INFINITY}", high, _LESS[signs[0]])
        if is_name(high):
            return Group("[" if _LESS[signs[0]] else "(", (shape(low), shape(_INFINITY)), ")")
    if len(signs) == 2 and set(signs) <= set(_LESS):
        low, name, high = sides
        opening = "[" if _LESS[signs[0]] else "("
        if is_name(name) and not name.startswith("|"):
            return _group(opening, low, high, _LESS[signs[1]])
        if re.fullmatch(r"\|[^|]+\|", name):
            closing = "]" if _LESS[signs[1]] else ")"
            mirrored = {"[": "]", "(": ")", "]": "[", ")": "("}
            negative = (shape(f"-({high})"), shape(f"-({low})"))
            return Union(
                (
                    Group(mirrored[closing], negative, mirrored[opening]),
                    Group(opening, (shape(low), shape(high)), closing),
                )
            )
    if signs == ["ne"] and is_name(sides[0]):
        hole = shape(sides[1])
        ends = shape(f"-{_INFINITY}"), shape(_INFINITY)
        return Union((Group("(", (ends[0], hole), ")"), Group("(", (hole, ends[1]), ")")))
    return None


def _around(shift: str | None, distance: str) -> tuple[str, str]:
    """Return the ends of `|x + shift| < distance`."""
    if shift is None:
        return f"-({distance})", distance
    return f"-({distance})-({shift})", f"({distance})-({shift})"


def _outside(low: str, high: str, *, closed: bool) -> Union:
    """Return what lies below `low` and above `high`."""
    infinite = shape(f"-{_INFINITY}"), shape(_INFINITY)
    left = Group("(", (infinite[0], shape(low)), "]" if closed else ")")
    return Union((left, Group("[" if closed else "(", (shape(high), infinite[1]), ")")))


def _group(opening: str, low: str, high: str, closed: bool) -> Group:
    return Group(opening, (shape(low), shape(high)), "]" if closed else ")")


def _ascending(relation: Relation) -> tuple[list[str], list[str]]:
    """Return the relation with its smaller sides first."""
    sides, signs = list(relation.sides), list(relation.signs)
    if signs and all(sign in _GREATER for sign in signs):
        return sides[::-1], [_FLIPPED[sign] for sign in signs[::-1]]
    return sides, signs


def compare(comparer: Comparer, a: Relation, b: Relation) -> Comparison:
    """Compare two relations: as intervals, as values of one name, side by side, or scaled."""
    if named := _compare_values(comparer, a, b):
        return named
    first, second = _solutions(a), _solutions(b)
    if first is not None and second is not None:
        same_name = _name(a) == _name(b)
        return comparer.compare(first, second) if same_name else Comparison.DIFFERENT
    if _side_by_side(comparer, a, b):
        return Comparison.EQUAL
    return Comparison.EQUAL if _scaled(comparer, a, b) else Comparison.DIFFERENT


def _compare_values(comparer: Comparer, a: Relation, b: Relation) -> Comparison | None:
    """Compare `x = ...` with `x = ...`, if both are such; other names make another statement."""
    first, second = value(a), value(b)
    if first is None or second is None:
        return None
    heads = _heads(a), _heads(b)
    if heads[0] and heads[1] and not heads[0] & heads[1]:
        return None
    outcome = comparer.compare(first, second)
    return outcome if outcome is Comparison.EQUAL or not _is_equation(a, b) else None


def _is_equation(a: Relation, b: Relation) -> bool:
    """Tell whether the sides hold other names: `y = -x/2 + 3/4` is a line, no value."""
    return any(re.search(r"[A-Za-z]", side) for r in (a, b) for side in r.sides[1:])


@lru_cache(REMEMBERED)
def _heads(relation: Relation) -> frozenset[str]:
    return frozenset(head(side) for side in relation.sides[:-1] if _is_named(side))


@lru_cache(REMEMBERED)
def _name(relation: Relation) -> str:
    names = [side for side in _ascending(relation)[0] if is_name(side) and _INFINITY not in side]
    return head(names[0]) if names else ""


def _solutions(relation: Relation) -> Shape | None:
    """Return the set that a relation puts its one name into."""
    return value(relation) if relation.signs == ("in",) else interval(relation)


def _side_by_side(comparer: Comparer, a: Relation, b: Relation) -> bool:
    for sides, signs in (_ascending(b), _mirrored(b)):
        first, ours = _ascending(a)
        if ours == signs and len(first) == len(sides):
            pairs = zip(first, sides, strict=True)
            if all(comparer.compare(_side(x), _side(y)) is Comparison.EQUAL for x, y in pairs):
                return True
    return False


@lru_cache(REMEMBERED)
def _side(text: str) -> Shape:
    return shape(text)


def _mirrored(relation: Relation) -> tuple[list[str], list[str]]:
    sides, signs = _ascending(relation)
    if all(sign in ("=", "ne") for sign in signs):
        return sides[::-1], signs[::-1]
    return sides, signs


def _scaled(comparer: Comparer, a: Relation, b: Relation) -> bool:
    """Tell whether one relation is the other times a constant: 2x + 4y = 3 and y = 3/4 - x/2."""
    if len(a.signs) != 1 or len(b.signs) != 1:
        return False
    factor = comparer.scaled(_difference(a), _difference(b))
    if factor is None:
        return False
    sign = b.signs[0] if factor > 0 else _FLIPPED.get(b.signs[0], b.signs[0])
    return a.signs[0] == sign


def _difference(relation: Relation) -> str:
    return f"({relation.sides[0]})-({relation.sides[1]})"
