"""When amounts are equal: quantities with units, ratios, times, numbers of a base, residues."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

from ..algebra.judge import Comparison
from .numbers import Number
from .shapes import Based, Clock, Expression, Matrix, Quantity, Ratio, Residue, Shape, Words
from .structure import shape
from .units import conflict, in_degrees_and_radians, sizes

EQUAL, DIFFERENT, UNDECIDED = Comparison.EQUAL, Comparison.DIFFERENT, Comparison.UNDECIDED


class Comparer(Protocol):
    """What compares the parts of amounts."""

    def compare(self, a: Shape, b: Shape) -> Comparison: ...

    def ordered(self, a: Sequence[Shape], b: Sequence[Shape]) -> Comparison: ...


def quantities(comparer: Comparer, a: Quantity, b: Quantity) -> Comparison:
    if in_degrees_and_radians(a.unit, b.unit):
        turned = a if a.unit.single == "degree" else b
        return _degrees(comparer, turned.amount, (b if turned is a else a).amount)
    if conflict(a.unit, b.unit):
        return DIFFERENT
    by = sizes(a.unit, b.unit)
    return comparer.compare(_times(a.amount, by["a"]), _times(b.amount, by["b"]))


def quantity(comparer: Comparer, a: Quantity, b: Shape) -> Comparison:
    """A unit may be left away; 29 cents are also 0.29, and 60 degrees pi/3."""
    if isinstance(b, Number) and b.percent:
        return DIFFERENT
    outcome = comparer.compare(a.amount, b)
    if outcome is EQUAL:
        return EQUAL
    cents = a.unit.dimensions == (("dollar", 1),) and a.unit.factor == Fraction(1, 100)
    if cents and isinstance(b, Number) and b.places is not None:
        return comparer.compare(_times(a.amount, Fraction(1, 100)), b)
    if a.unit.single == "degree" and isinstance(b, Expression) and r"\pi" in b.text:
        return _degrees(comparer, a.amount, b)
    return outcome


def _degrees(comparer: Comparer, degrees: Shape, radians: Shape) -> Comparison:
    text = leaf_text(degrees)
    return comparer.compare(Expression(rf"({text})*\frac{{\pi}}{{180}}"), radians)


def based(comparer: Comparer, a: Based, b: Shape) -> Comparison:
    """`52_8` is `52` (who asks for a base knows it), and no other base's `52`."""
    if not isinstance(b, Number) or b.value.denominator != 1:
        return DIFFERENT
    return EQUAL if a.digits == str(b.value) else DIFFERENT


def bases(comparer: Comparer, a: Based, b: Based) -> Comparison:
    if a.base == b.base:
        return EQUAL if a.digits == b.digits else DIFFERENT
    try:
        return EQUAL if int(a.digits, a.base) == int(b.digits, b.base) else DIFFERENT
    except ValueError:
        return UNDECIDED  # a digit that its base does not have


def residues(comparer: Comparer, a: Residue, b: Residue) -> Comparison:
    moduli = comparer.compare(a.modulus, b.modulus)
    if moduli is not EQUAL:
        return moduli
    return EQUAL if _congruent(a, b.amount) else comparer.compare(a.amount, b.amount)


def residue(comparer: Comparer, a: Residue, b: Shape) -> Comparison:
    """`5 mod 7` is 5, and `12 mod 7` as well."""
    smallest = isinstance(b, Number) and isinstance(a.modulus, Number)
    if smallest and 0 <= b.value < a.modulus.value and _congruent(a, b):  # type: ignore[union-attr]
        return EQUAL
    return comparer.compare(a.amount, b)


def clock_and_ratio(comparer: Comparer, a: Clock, b: Ratio) -> Comparison:
    """`8:34 PM` is 20:34, and 8:34 where the half of the day is left away."""
    seconds = _seconds(b)
    if seconds is None:
        return DIFFERENT
    half = 12 * 3600
    same = a.seconds == seconds or (seconds < 13 * 3600 and a.seconds % half == seconds % half)
    return EQUAL if same else DIFFERENT


def ratios(comparer: Comparer, a: Ratio, b: Ratio) -> Comparison:
    if a.clock and b.clock and (len(a.terms) == 2 or _seconds(a) == _seconds(b)):
        return EQUAL if _seconds(a) == _seconds(b) else DIFFERENT
    if len(a.terms) != len(b.terms):
        return DIFFERENT
    return _proportional(comparer, a.terms, b.terms)


def ratio_and_leaf(comparer: Comparer, a: Ratio, b: Shape) -> Comparison:
    if len(a.terms) != 2:
        return DIFFERENT
    texts = [leaf_text(term) for term in a.terms]
    return comparer.compare(shape(rf"\frac{{{texts[0]}}}{{{texts[1]}}}"), b)


def _proportional(comparer: Comparer, a: Sequence[Shape], b: Sequence[Shape]) -> Comparison:
    if not all(isinstance(term, Number) for term in (*a, *b)):
        return comparer.ordered(a, b)
    x, y = ([term.value for term in terms] for terms in (a, b))  # type: ignore[union-attr]
    same = all(x[0] * q == y[0] * p for p, q in zip(x, y, strict=True))
    return EQUAL if same and any(x) and any(y) else DIFFERENT


def _times(amount: Shape, factor: Fraction) -> Shape:
    """Return an amount in another unit, with what it says about rounding."""
    if factor == 1:
        return amount
    if isinstance(amount, Number):
        return Number(amount.value * factor, amount.percent)
    text = leaf_text(amount)
    if text is None:
        return amount
    return Expression(rf"({text})*\frac{{{factor.numerator}}}{{{factor.denominator}}}")


def _congruent(a: Residue, b: Shape) -> bool:
    if not (isinstance(a.amount, Number) and isinstance(a.modulus, Number)):
        return False
    if not isinstance(b, Number) or not a.modulus.value:
        return False
    return (a.amount.value - b.value) % a.modulus.value == 0


def _seconds(ratio: Ratio) -> int | None:
    """Return the time of day that a ratio like 20:34 or 20:34:00 is, in seconds."""
    terms = [int(term.value) for term in ratio.terms if isinstance(term, Number)]
    if not ratio.clock or len(terms) != len(ratio.terms):
        return None
    return sum(term * size for term, size in zip(terms, (3600, 60, 1), strict=False))


def leaf_text(leaf: Shape) -> str | None:
    if isinstance(leaf, Number):
        value = leaf.value / 100 if leaf.percent else leaf.value
        return f"({value.numerator})/({value.denominator})"
    return leaf.text if isinstance(leaf, Words | Expression | Matrix) else None
