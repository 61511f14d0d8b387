"""Evaluate a LaTeX expression at fixed points: the work of a judge's worker process.

The grammar of `latex2sympy2_extended` reads the text into a SymPy tree; nothing of it is ever
evaluated as Python, which `sympify` and `parse_expr` would do. The tree is walked by an evaluator
of our own, because SymPy's would compute 9^(9^(9^9)). Importing this module costs half a second:
only workers do.
"""

import hashlib
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import sympy
from antlr4 import PredictionMode
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from mpmath import mp, mpc, mpf

from .judge import DIGITS, Sample, Unread, Value

LONGEST = 300
DEEPEST = 10
MOST_BARS = 8
MOST_INTEGRALS = 2
MOST_DIGITS = 60
MOST_NODES = 400
MOST_TERMS = 1_000
LARGEST_MATRIX = 8
LARGEST_EXPONENT = 100_000
"""Bits of a power's result."""

POINTS = 8
"""Three with positive reals, three with reals of both signs, two with small positive integers."""

_GRAMMAR = ConversionConfig(lowercase_symbols=False)
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\\circ")
_LONG_POWER = re.compile(r"\^\s*(\d{2,})")
_ROUND_POWER = re.compile(r"\^\s*\(([^()]*)\)")
_NESTING = re.compile(r"[{(\[]|[})\]]")


class _Reader(_Latex2Sympy):  # type: ignore[misc]
    """The library's reader, but for numbers: it hands them to SymPy as text to be evaluated.

    ANTLR's SLL prediction is several times faster than its full one; where it finds a tree, the
    full one finds the same, and where it finds none (`x^2`), the full one is needed.
    """

    def __init__(self, prediction: Any) -> None:
        super().__init__(config=_GRAMMAR)
        self._prediction = prediction

    def create_parser(self, latex_str: str) -> Any:
        parser = super().create_parser(latex_str)
        parser._interp.predictionMode = self._prediction
        return parser

    def parse_number(self, text: str) -> sympy.Rational:
        if not re.fullmatch(r"[0-9,.]+", text):
            raise ValueError(text)
        return sympy.Rational(Fraction(text.replace(",", "")))


class _Exhausted(Exception):
    """A limit was reached; the expression is neither equal nor different."""


class _Undefined(Exception):
    """No value at this point."""


def measure(text: str) -> Sample | Unread:
    """Return the values of the expression `text` at the points, or why there are none."""
    if _too_much(text):
        return Unread.EXHAUSTED
    try:
        tree = _tree(_prepared(text))
        return Unread.UNREADABLE if tree is None else _sample(tree)
    except (_Exhausted, RecursionError, MemoryError, OverflowError):
        return Unread.EXHAUSTED


def warm_up() -> None:
    """Read typical formulas once: the grammar's prediction is slow on what it has never seen."""
    for text in _TYPICAL:
        measure(text)


_TYPICAL = (
    *("x^2+1", "2x+3", r"\frac{1}{2}", r"3\sqrt{2}", "(x+1)^2", "a_1^2", "-x", "6-5i", "n!"),
    *(r"10^{\frac{-5+\sqrt{13}}{6}}", r"\frac{x^2}{4}+\frac{y^2}{3}", r"2\sin b\cos a", "f(x)"),
    *("(2x+4y-3)-(0)", "|x-1|", r"\log_2 8", r"\ln 4", "e^{2}", r"\frac{\sqrt{3}}{3}", "(1)/(2)"),
    *(r"\frac{9}{4}\pi", r"\binom{5}{2}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"3\cdot 4"),
)


def _tree(text: str) -> Any:
    """Return the SymPy tree of `text`, or `None` if it is no formula."""
    for prediction in (PredictionMode.SLL, PredictionMode.LL):
        try:
            return _Reader(prediction).parse(text)
        except (RecursionError, MemoryError, OverflowError):
            raise
        except Exception:  # the library raises whatever its parts do
            continue
    return None


def _too_much(text: str) -> bool:
    """Tell whether reading `text` could take long: the grammar's cost grows fast with nesting."""
    if len(text) > LONGEST or re.search(rf"\d{{{MOST_DIGITS},}}", text):
        return True
    if text.count("|") > MOST_BARS or text.count(r"\int") > MOST_INTEGRALS:
        return True
    depth = deepest = 0
    for bracket in _NESTING.finditer(text):
        depth += 1 if bracket[0] in "{([" else -1
        deepest = max(deepest, depth)
    return deepest > DEEPEST


def _prepared(text: str) -> str:
    """Return `text` as the grammar likes it."""
    if _TRIGONOMETRY.search(text):
        text = _DEGREES.sub(r"(\\frac{\1 \\pi}{180})", text)
    text = text.replace(r"^\circ", "").replace("%", "").replace("**", "^")
    text = _ROUND_POWER.sub(r"^{(\1)}", text)
    return _LONG_POWER.sub(r"^{\1}", text)


def _sample(tree: Any) -> Sample | Unread:
    cells, size = _cells(tree)
    if not all(isinstance(cell, sympy.Expr) for cell in cells):
        return Unread.UNREADABLE
    walk = (node for cell in cells for node in sympy.preorder_traversal(cell))
    if any(count > MOST_NODES for count, _ in enumerate(walk)):
        raise _Exhausted
    symbols = {symbol.name for cell in cells for symbol in cell.atoms(sympy.Symbol)}
    names = symbols - _CONSTANTS.keys()
    real_only = bool(names) and not symbols & {"i", "I"}
    with mp.workdps(DIGITS):
        values = tuple(value for cell in cells for value in _values(cell, real_only, not names))
    return Sample(values, constant=not names, size=size)


def _cells(tree: Any) -> tuple[list[Any], tuple[int, int]]:
    """Return the cells of a matrix, or of a sum or product of matrices; else the tree itself."""
    if not isinstance(tree, sympy.MatrixBase | sympy.MatrixExpr):
        return [tree], (1, 1)
    if any(
        max(matrix.shape) > LARGEST_MATRIX
        for matrix in sympy.preorder_traversal(tree)
        if isinstance(matrix, sympy.MatrixBase)
    ):
        raise _Exhausted
    found = tree.doit() if isinstance(tree, sympy.MatrixExpr) else tree
    if not isinstance(found, sympy.MatrixBase):
        raise _Exhausted
    return list(found), found.shape


def _values(cell: Any, real_only: bool, constant: bool) -> list[Value | None]:
    if constant:
        return [_value_at(cell, 0, real_only)] * POINTS
    return [_value_at(cell, point, real_only) for point in range(POINTS)]


def _value_at(tree: Any, point: int, real_only: bool) -> Value | None:
    try:
        value = mpc(_Evaluator(point, real_only).of(tree))
    except (_Undefined, ZeroDivisionError, ValueError, TypeError):
        return None
    if mpmath.isnan(value.real) or mpmath.isnan(value.imag):
        return None
    if real_only and abs(value.imag) > mpf(10) ** -25 * max(abs(value.real), mpf(1)):
        return None
    return _decimal(value.real), _decimal(value.imag)


def _decimal(value: Any) -> Decimal:
    return Decimal(mpmath.nstr(value, DIGITS, strip_zeros=True).replace("inf", "Infinity"))


_CONSTANTS: dict[str, Callable[[], Any]] = {
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
    "Add": lambda *xs: mpmath.fsum(xs),
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


class _Evaluator:
    """The values of all symbols at one point, and the evaluation of a tree there.

    In the reals a root or logarithm of a negative number has no value, also on the way.
    """

    def __init__(self, point: int, real: bool) -> None:
        self.point, self.real = point, real
        self.bound: dict[str, Any] = {}

    def of(self, node: Any) -> Any:
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
        if name in _FUNCTIONS:
            return self._real(_FUNCTIONS[name](*(self.of(arg) for arg in node.args)))
        if isinstance(node, sympy.core.function.AppliedUndef):
            values = [mpmath.nstr(self.of(arg), 20) for arg in node.args]
            return _scattered(f"{name}({', '.join(values)})")
        return _scattered(_canonical(node))

    def _real(self, value: Any) -> Any:
        if self.real and mpmath.im(value):
            raise _Undefined
        return value

    def _symbol(self, name: str) -> Any:
        if name in self.bound:
            return self.bound[name]
        if name in _CONSTANTS:
            return _CONSTANTS[name]()
        value = _scattered(f"{name} at {self.point}")
        if self.point < 3:
            return value
        if self.point < 6:
            return -value if _hash(f"sign of {name} at {self.point}") % 2 else value
        return mpf(2 + _hash(f"{name} at {self.point}") % 8)

    def _counting(self, name: str, args: list[Any]) -> Any:
        if any(abs(arg) > MOST_TERMS for arg in args):
            raise _Exhausted
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
            raise _Undefined
        if high - low > MOST_TERMS or self.bound:
            raise _Exhausted
        total = mpf(0) if name == "Sum" else mpf(1)
        for step in range(int(low), int(high) + 1):
            self.bound = {index.name: mpf(step)}
            value = self.of(body)
            total = total + value if name == "Sum" else total * value
        self.bound = {}
        return total


def _real(x: Any) -> Any:
    if isinstance(x, mpc) and x.imag:
        raise _Undefined
    return mpmath.re(x)


def _power(base: Any, exponent: Any, power: Any) -> Any:
    """Raise `base` to `power`; an odd root of a negative real is the real one."""
    if base == 0 and power == 0:
        return mpf(1)
    size = abs(mpmath.log(abs(base), 2)) if base and not mpmath.isinf(base) else 0
    if mpmath.isinf(power) or mpmath.isinf(base):
        raise _Undefined
    if abs(power) * size > LARGEST_EXPONENT:
        raise _Exhausted
    root = exponent.q if isinstance(exponent, sympy.Rational) else 1
    if root % 2 and root > 1 and mpmath.im(base) == 0 and mpmath.re(base) < 0:
        return (-1) ** (exponent.p % 2) * (-base) ** power
    return mpmath.power(base, power)


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
