"""The value of an expression in the integers modulo a few large primes.

Adding, multiplying, dividing and raising to a whole power is exact there, however long the numbers
are: 2^2024 - 1 and 2^2024 + 1 differ, and so do x^2024 and x^2024 + x. Each symbol stands for a
fixed residue (Schwartz 1980, Zippel 1979); pi and e are symbols like others. Two expressions that
differ agree at all three primes with a chance below 2^-300.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy

PRIMES = (
    1219052925646091987744823726567388643,
    982793498502307974649354974768030383,
    681400947011862066197174763722189483,
)
"""Drawn at random: a round prime (2^127 - 1) would make 2^127 equal to 1."""

MOST_BITS = 20_000
"""Of a number that is written out: an exponent, the argument of a factorial or of a floor."""

MOST_TERMS = 1_000
LARGEST_FACTORIAL = 20_000
LARGEST_WRITTEN_FACTORIAL = 2_000
LARGEST_CHOICE = 1_000


class NotExact(Exception):
    """The expression is no rational function of whole numbers and symbols."""


def residues(tree: Any) -> tuple[int, ...] | None:
    """Return the values modulo `PRIMES`, or `None` if the expression has none."""
    try:
        return tuple(_Field(prime).of(tree, {}) for prime in PRIMES)
    except (NotExact, ZeroDivisionError, ValueError, OverflowError, TypeError):
        return None


class _Field:
    """Evaluates trees modulo one prime."""

    def __init__(self, prime: int) -> None:
        self._prime = prime

    def of(self, node: Any, bound: Mapping[str, int]) -> int:
        """Return the residue of `node`; `bound` holds the indices of sums around it."""
        name = type(node).__name__
        if isinstance(node, sympy.Rational):
            return self._quotient(int(node.p), int(node.q))
        if isinstance(node, sympy.Symbol) or name in ("Pi", "Exp1"):
            return self._symbol(str(getattr(node, "name", name)), bound)
        if name == "Add":
            return sum(self.of(arg, bound) for arg in node.args) % self._prime
        if name == "Mul":
            return math.prod(self.of(arg, bound) for arg in node.args) % self._prime
        if name == "UnevaluatedExpr":
            return self.of(node.args[0], bound)
        if name == "Pow":
            power = whole(node.args[1], bound)
            return pow(self.of(node.args[0], bound), power, self._prime)
        if name in ("Sum", "Product"):
            return self._series(node, name, bound)
        if name == "factorial":
            return self._factorial(whole(node.args[0], bound))
        value = exact(node, bound)
        return self._quotient(value.numerator, value.denominator)

    def _factorial(self, n: int) -> int:
        if not 0 <= n <= LARGEST_FACTORIAL:
            raise NotExact
        product = 1
        for factor in range(2, n + 1):
            product = product * factor % self._prime
        return product

    def _quotient(self, above: int, below: int) -> int:
        return above * pow(below, -1, self._prime) % self._prime

    def _symbol(self, name: str, bound: Mapping[str, int]) -> int:
        if name in bound:
            return bound[name]
        name = {"Pi": "pi", "Exp1": "e"}.get(name, name)
        if name in ("i", "I"):
            raise NotExact
        digest = hashlib.sha512(f"{name} mod {self._prime}".encode("utf-8", "replace")).digest()
        return int.from_bytes(digest[:32], "big") % self._prime

    def _series(self, node: Any, name: str, bound: Mapping[str, int]) -> int:
        total = 0 if name == "Sum" else 1
        for inner in indices(node, bound):
            value = self.of(node.args[0], inner)
            total = (total + value if name == "Sum" else total * value) % self._prime
        return total


def indices(node: Any, bound: Mapping[str, int]) -> list[dict[str, int]]:
    """Return what is bound in each term of a sum or product."""
    if len(node.args) != 2 or bound:
        raise NotExact
    index, first, last = node.args[1]
    low, high = whole(first, bound), whole(last, bound)
    if not -1 <= high - low <= MOST_TERMS:
        raise NotExact
    return [{index.name: step} for step in range(low, high + 1)]


def whole(node: Any, bound: Mapping[str, int]) -> int:
    """Return the whole number that `node` is.

    Raises:
        NotExact: it is none, or a very long one.
    """
    value = exact(node, bound)
    if value.denominator != 1:
        raise NotExact
    return value.numerator


def exact(node: Any, bound: Mapping[str, int]) -> Fraction:
    """Return the rational number that `node` is.

    Raises:
        NotExact: it is none, or a very long one.
    """
    value = _exact(node, bound)
    if value.numerator.bit_length() + value.denominator.bit_length() > MOST_BITS:
        raise NotExact
    return value


def _exact(node: Any, bound: Mapping[str, int]) -> Fraction:
    name = type(node).__name__
    if isinstance(node, sympy.Rational):
        return Fraction(int(node.p), int(node.q))
    if isinstance(node, sympy.Symbol) and node.name in bound:
        return Fraction(bound[node.name])
    if name == "Pow":
        base, power = exact(node.args[0], bound), whole(node.args[1], bound)
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(power) * size > MOST_BITS:
            raise NotExact
        return base**power
    if name not in _RATIONAL:
        raise NotExact
    return Fraction(_RATIONAL[name](*(exact(arg, bound) for arg in node.args)))


def _factorial(n: Fraction) -> int:
    if n.denominator != 1 or not 0 <= n <= LARGEST_WRITTEN_FACTORIAL:
        raise NotExact
    return math.factorial(int(n))


def _choose(n: Fraction, k: Fraction) -> int:
    if n.denominator != 1 or k.denominator != 1 or not 0 <= k <= n:
        raise NotExact
    if min(k, n - k) > LARGEST_CHOICE or n.numerator.bit_length() > 64:
        raise NotExact
    return math.comb(int(n), int(k))


_RATIONAL: dict[str, Callable[..., Any]] = {
    "Add": lambda *xs: sum(xs, Fraction(0)),
    "Mul": lambda *xs: math.prod(xs, start=Fraction(1)),
    "UnevaluatedExpr": lambda x: x,
    "Abs": abs,
    "floor": math.floor,
    "ceiling": math.ceil,
    "sign": lambda x: (x > 0) - (x < 0),
    "Max": lambda *xs: max(xs),
    "Min": lambda *xs: min(xs),
    "Mod": lambda x, y: x % y,
    "factorial": _factorial,
    "binomial": _choose,
}
