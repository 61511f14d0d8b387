"""The value of a SymPy tree at a point, by an evaluator of our own.

SymPy's would compute 9^(9^(9^9)); this one has a limit for every step that could be long.
"""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import mpmath
import sympy
from mpmath import mp, mpc, mpf

MOST_TERMS = 1_000
LARGEST_EXPONENT = 100_000
"""Bits of a power's result."""


class Exhausted(Exception):
    """A limit was reached; the expression is neither equal nor different."""


class Undefined(Exception):
    """No value at this point."""


CONSTANTS: dict[str, Callable[[], Any]] = {
    "e": lambda: mp.e,
    "i": lambda: mpc(0, 1),
    "pi": lambda: mp.pi,
}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(mpmath, name)
    for name in (
        *("sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot", "asec", "acsc"),
        *("sinh", "cosh", "tanh", "coth", "asinh", "acosh", "atanh", "exp", "floor"),
    )
} | {
    "log": lambda x, base=None: mpmath.log(x) if base is None else mpmath.log(x) / mpmath.log(base),
    "Abs": abs,
    "ceiling": mpmath.ceil,
    "re": mpmath.re,
    "im": mpmath.im,
    "conjugate": mpmath.conj,
    "sign": mpmath.sign,
    "UnevaluatedExpr": lambda x: x,
    "Mul": lambda *xs: mpmath.fprod(xs),
    "Max": lambda *xs: max(map(_real, xs)),
    "Min": lambda *xs: min(map(_real, xs)),
    "Mod": lambda x, y: _real(x) - _real(y) * mpmath.floor(_real(x) / _real(y)),
    "Infinity": lambda: mp.inf,
    "NegativeInfinity": lambda: -mp.inf,
    "Pi": lambda: mp.pi,
    "Exp1": lambda: mp.e,
    "ImaginaryUnit": lambda: mpc(0, 1),
    "GoldenRatio": lambda: mp.phi,
}


GUARD = 60
"""Bits at the end of a number that rounding may have spoilt."""


class Evaluator:
    """The values of all symbols at one point, and the evaluation of a tree there.

    In the reals a root or logarithm of a negative number has no value, also on the way.
    `span` is how many bits lie between the largest and the smallest value met on the way: so many
    more are needed to see what the small ones change (3^2024 + sqrt(2)).
    """

    def __init__(self, point: int, real: bool) -> None:
        self.point, self.real = point, real
        self.bound: dict[str, Any] = {}
        self._highest = self._lowest = 0

    @property
    def span(self) -> int:
        return self._highest - self._lowest

    def of(self, node: Any) -> Any:
        value = self._of(node)
        if value and mpmath.isfinite(value):
            size = mp.mag(value)
            self._highest, self._lowest = max(self._highest, size), min(self._lowest, size)
        return value

    def _of(self, node: Any) -> Any:
        name = type(node).__name__
        if isinstance(node, sympy.Rational):
            return mpf(node.p) / node.q
        if isinstance(node, sympy.Float):
            return mpf(str(node))
        if isinstance(node, sympy.Symbol):
            return self._symbol(node.name)
        if name == "Pow":
            return self._real(_power(self.of(node.args[0]), node.args[1], self.of(node.args[1])))
        if name == "exp":
            return _power(mp.e, node.args[0], self.of(node.args[0]))
        if name in ("factorial", "binomial", "gamma"):
            return self._counting(name, [self.of(arg) for arg in node.args])
        if name in ("Sum", "Product"):
            return self._series(node, name)
        if name == "Add":
            return self._real(_sum([self.of(arg) for arg in node.args]))
        if name in _FUNCTIONS:
            return self._real(_FUNCTIONS[name](*(self.of(arg) for arg in node.args)))
        if isinstance(node, sympy.core.function.AppliedUndef):
            values = [mpmath.nstr(self.of(arg), 20) for arg in node.args]
            return _scattered(f"{name}({', '.join(values)})")
        return _scattered(_canonical(node))

    def _real(self, value: Any) -> Any:
        if self.real and mpmath.im(value):
            raise Undefined
        return value

    def _symbol(self, name: str) -> Any:
        if name in self.bound:
            return self.bound[name]
        if name in CONSTANTS:
            return CONSTANTS[name]()
        return symbol_at(name, self.point)

    def _counting(self, name: str, args: list[Any]) -> Any:
        if any(abs(arg) > MOST_TERMS for arg in args):
            raise Exhausted
        if name == "binomial":
            return mpmath.binomial(*args)
        return mpmath.factorial(args[0]) if name == "factorial" else mpmath.gamma(args[0])

    def _series(self, node: Any, name: str) -> Any:
        body, *limits = node.args
        if len(limits) != 1:
            return _scattered(_canonical(node))
        index, first, last = limits[0]
        low, high = self.of(first), self.of(last)
        if not all(mpmath.isint(bound) for bound in (low, high)):
            raise Undefined
        if high < low - 1:
            raise Undefined  # a formula for the sum goes on below, the sum does not
        if high - low > MOST_TERMS or self.bound:
            raise Exhausted
        total = mpf(0) if name == "Sum" else mpf(1)
        for step in range(int(low), int(high) + 1):
            self.bound = {index.name: mpf(step)}
            value = self.of(body)
            total = total + value if name == "Sum" else total * value
        self.bound = {}
        return total


POSITIVE, SIGNED, LARGE, WHOLE = range(3), range(3, 6), range(6, 9), range(9, 17)
POINTS = 17
"""Positive reals, reals of both signs, large ones (sqrt(x - 2000) needs them), whole numbers."""


def symbol_at(name: str, point: int) -> Any:
    """Return the value of the symbol `name` at a point, the same in every process."""
    value = _scattered(f"{name} at {point}")
    if point in POSITIVE:
        return value
    if point in SIGNED:
        return -value if _hash(f"sign of {name} at {point}") % 2 else value
    if point in LARGE:
        large = value * 3000
        return -large if point == LARGE[-1] else large
    return _whole(name, point - WHOLE[0])


def _whole(name: str, step: int) -> Any:
    """Return a whole number; over the eight steps each name, and each sum of two, is odd and even.

    (-1)^n is 1 wherever n is even. The parities of a name are a row of eight bits; the first is 0
    in the first step for every name, so that two names with different rows never differ by a
    constant.
    """
    code = ord(name) % 64 * 2 if len(name) == 1 else _hash(name) % 128
    row = (code ^ 2) or 127
    parity = 0 if step == 0 else row >> (step - 1) & 1
    value = 2 + 2 * (_hash(f"{name} at step {step}") % 4) + parity
    return mpf(-value if step >= 6 else value)


def _sum(terms: list[Any]) -> Any:
    """Return the sum; where the terms cancel to what rounding leaves, it is 0."""
    total = mpmath.fsum(terms)
    if mpmath.isinf(total) or mpmath.isnan(total):
        return total
    noise = mpf(2) ** (max(mp.mag(term) if term else -mp.prec for term in terms) - mp.prec + GUARD)
    if not isinstance(total, mpc):
        return mpf(0) if abs(total) < noise else total
    return mpc(*(0 if abs(part) < noise else part for part in (total.real, total.imag)))


def _real(x: Any) -> Any:
    if isinstance(x, mpc) and x.imag:
        raise Undefined
    return mpmath.re(x)


def _power(base: Any, exponent: Any, power: Any) -> Any:
    """Raise `base` to `power`; an odd root of a negative real is the real one."""
    if base == 0 and power == 0:
        return mpf(1)
    size = abs(_log2(abs(base))) if base and not mpmath.isinf(base) else 0
    if mpmath.isinf(power) or mpmath.isinf(base):
        raise Undefined
    if abs(power) * size > LARGEST_EXPONENT:
        raise Exhausted
    root = exponent.q if isinstance(exponent, sympy.Rational) else 1
    if root % 2 and root > 1 and mpmath.im(base) == 0 and mpmath.re(base) < 0:
        return (-1) ** (exponent.p % 2) * (-base) ** power
    return mpmath.power(base, power)


def _log2(x: Any) -> float:
    """Return a logarithm to a few digits; mpmath's would be as exact as x is long."""
    part, exponent = mpmath.frexp(x)
    return float(exponent) + math.log2(float(part))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "big")


def _scattered(text: str) -> Any:
    """Return a value between 1/3 and 3 that belongs to `text`, the same in every process."""
    return mpf(1) / 3 + mpf(_hash(text)) / 2**64 * mpf(8) / 3


def _canonical(node: Any) -> str:
    """Return a tree as text; the order of sums and products does not matter."""
    if not getattr(node, "args", ()):
        return f"{type(node).__name__}:{node}"
    args = [_canonical(arg) for arg in node.args]
    if type(node).__name__ in ("Add", "Mul", "And", "Or"):
        args.sort()
    return f"{type(node).__name__}({', '.join(args)})"
