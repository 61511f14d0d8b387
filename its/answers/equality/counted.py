"""Amounts of several words: `2 hours 30 minutes`, `five apples`, `half an hour`."""

import itertools
import re
from collections.abc import Sequence
from fractions import Fraction

from .numbers import Number
from .shapes import Quantity
from .units import Unit, split_unit, unit
from .words import ORDINALS, in_words

_COMPOUND = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)\.?(?:\s*,\s*|\s+and\s+|\s*)")


def spoken(text: str, _: int) -> Quantity | None:
    """Read `five apples`; names like `Seven Samurai` and `third man` are none."""
    said = text.split()
    if not 2 <= len(said) <= 8 or not text.isascii() or text[1:] != text[1:].lower():
        return None
    for length in range(len(said) - 1, 0, -1):
        if in_words(said[length - 1]) is None and said[:length] not in (
            ["half", "an"],
            ["half", "a"],
        ):
            continue
        counted = unit(" ".join(said[length:]))
        number_said = " ".join(said[:length])
        amount = Fraction(1, 2) if number_said in ("half an", "half a") else in_words(number_said)
        if amount is not None and counted is not None and said[length - 1] not in ORDINALS:
            return Quantity(Number(amount), counted)
    return None


def compound(text: str, _: int) -> Quantity | None:
    """Read `2 hours 30 minutes` as one amount of the first unit's kind."""
    if not text[:1].isdigit():
        return None
    end, parts = 0, list[tuple[Fraction, Unit]]()
    while match := _COMPOUND.match(text, end):
        found = split_unit(f"{match[1]} {match[2]}")
        if found is None:
            return None
        parts.append((Fraction(match[1]), found[1]))
        end = match.end()
    units = [unit for _, unit in parts]
    if end < len(text) or len(parts) < 2 or not _descending(units):
        return None
    total = sum((amount * unit.factor for amount, unit in parts), Fraction(0))
    return Quantity(Number(total / units[0].factor), units[0])


def _descending(units: Sequence[Unit]) -> bool:
    same = all(unit.dimensions == units[0].dimensions for unit in units)
    smaller = all(a.factor > b.factor for a, b in itertools.pairwise(units))
    return same and smaller
