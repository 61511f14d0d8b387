"""Evaluate a LaTeX expression at fixed points: the work of a judge's worker process.

The grammar of `latex2sympy2_extended` reads the text into a SymPy tree; nothing of it is ever
evaluated as Python, which `sympify` and `parse_expr` would do. Importing this module costs half a
second: only workers do.
"""

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import sympy
from antlr4 import PredictionMode
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from mpmath import mp, mpc, mpf

from .evaluate import CONSTANTS, GUARD, LARGEST_EXPONENT, POINTS, Evaluator, Exhausted, Undefined
from .judge import DIGITS, LONGEST, Sample, Unread, Value
from .residues import residues

DEEPEST = 10
MOST_BARS = 8
MOST_INTEGRALS = 2
MOST_DIGITS = 60
MOST_NODES = 400
LARGEST_MATRIX = 8

NEAR_SPAN = 700
"""Bits: a point where the values lie no farther apart is evaluated in any case."""

LARGEST_SPAN = 10_000
ENOUGH_POINTS = 4

_GRAMMAR = ConversionConfig(lowercase_symbols=False)
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\\circ")
_LONG_POWER = re.compile(r"\^\s*(\d{2,})")
_ROUND_POWER = re.compile(r"\^\s*\(([^()]*)\)")
_QUOTIENT = re.compile(r"\((-?\d{1,1000})\)/\(([1-9]\d{0,999})\)")
"""How the caller writes a number whose value it knows."""

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


def measure(text: str) -> Sample | Unread:
    """Return the values of the expression `text` at the points, or why there are none."""
    if quotient := _QUOTIENT.fullmatch(text):
        return _rational(Fraction(int(quotient[1]), int(quotient[2])))
    if _too_much(text):
        return Unread.EXHAUSTED
    if _PROSE.search(text):
        return Unread.UNREADABLE
    try:
        tree = _tree(_prepared(text))
        return Unread.UNREADABLE if tree is None else _sample(tree)
    except (Exhausted, RecursionError, MemoryError, OverflowError):
        return Unread.EXHAUSTED


def _rational(value: Fraction) -> Sample:
    """Return a number's values without the grammar, which would be slow on its digits."""
    number = sympy.Rational(value.numerator, value.denominator)
    bits = abs(value.numerator.bit_length() - value.denominator.bit_length())
    digits = DIGITS + (int(bits * math.log10(2)) if bits > GUARD else 0)
    with mp.workdps(digits):
        point = (_decimal(mpf(number.p) / number.q), Decimal(0))
    return Sample((point,) * POINTS, True, (1, 1), digits, residues(number))


_PROSE = re.compile(
    r"(?<![\\A-Za-z_{])(?:is|are|was|not|the|(?=[a-z]*[aeiou])(?=[a-z]*[^aeiou])(?!abcd)[a-z]{4,})"
    r"(?![A-Za-z(])"
)
"""Words, which the grammar would read as products: `0 is a minimum` would be 0."""
_PRIME = re.compile(r"(?<![A-Za-z\\])([A-Za-z])(?:'|\^\{?\\prime\s*\}?)(?!')")


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
    text = _PRIME.sub(r"\1_{q}", text)  # the grammar reads f'(x) as f(x)
    text = text.replace(r"^\circ", "").replace("%", "").replace("**", "^")
    text = _ROUND_POWER.sub(r"^{(\1)}", text)
    return _LONG_POWER.sub(r"^{\1}", text)


def _sample(tree: Any) -> Sample | Unread:
    cells, size = _cells(tree)
    if not all(isinstance(cell, sympy.Expr) for cell in cells):
        return Unread.UNREADABLE
    walk = (node for cell in cells for node in sympy.preorder_traversal(cell))
    if any(count > MOST_NODES for count, _ in enumerate(walk)):
        raise Exhausted
    symbols = {symbol.name for cell in cells for symbol in cell.atoms(sympy.Symbol)}
    names = symbols - CONSTANTS.keys()
    real_only = bool(names) and not symbols & {"i", "I"}
    exact = [residues(cell) for cell in cells]
    rational = None if None in exact else tuple(n for found in exact for n in found or ())
    points = [(cell, point) for cell in cells for point in range(POINTS if names else 1)]
    first = [_evaluated(cell, point, real_only, DIGITS) for cell, point in points]
    spans = [span for span, _ in first]
    most = _widest(spans, len(cells))
    digits = DIGITS + (int(most * math.log10(2)) if most > GUARD else 0)
    values = [value if span is not None and span <= most else None for span, value in first]
    if digits > DIGITS:
        near = [value is not None for value in values]
        values = [
            _evaluated(cell, point, real_only, digits)[1] if use else None
            for use, (cell, point) in zip(near, points, strict=True)
        ]
    if rational is None and not any(values) and math.inf in spans:
        raise Exhausted
    if not names:
        values = [value for value in values for _ in range(POINTS)]
    return Sample(tuple(values), not names, size, digits, rational)


def _evaluated(
    cell: Any, point: int, real_only: bool, digits: int
) -> tuple[float | None, Value | None]:
    """Return how many bits lie between a cell's parts, and its value.

    The bits are infinitely many if a limit is reached; without a value at the point both are
    `None`.
    """
    evaluator = Evaluator(point, real_only)
    try:
        with mp.workdps(digits):
            value = mpc(evaluator.of(cell))
            if evaluator.span > LARGEST_SPAN:
                return math.inf, None
            return evaluator.span, _value(value, real_only)
    except Exhausted:
        return math.inf, None
    except (Undefined, ZeroDivisionError, ValueError, TypeError):
        return None, None


def _widest(spans: Sequence[float | None], cells: int) -> float:
    """Return the largest span that is worth its digits: a few far points are left out."""
    known = [span for span in spans if span is not None and span < math.inf]
    near = [span for span in known if span <= NEAR_SPAN]
    return max(near if len(near) >= ENOUGH_POINTS * cells else known, default=0)


def _cells(tree: Any) -> tuple[list[Any], tuple[int, int]]:
    """Return the cells of a matrix, or of a sum or product of matrices; else the tree itself."""
    if not isinstance(tree, sympy.MatrixBase | sympy.MatrixExpr):
        return [tree], (1, 1)
    if any(
        max(matrix.shape) > LARGEST_MATRIX
        for matrix in sympy.preorder_traversal(tree)
        if isinstance(matrix, sympy.MatrixBase)
    ):
        raise Exhausted
    found = tree.doit() if isinstance(tree, sympy.MatrixExpr) else tree
    if not isinstance(found, sympy.MatrixBase):
        raise Exhausted
    return list(found), found.shape


def _value(value: Any, real_only: bool) -> Value | None:
    if mpmath.isnan(value.real) or mpmath.isnan(value.imag):
        return None
    if real_only and abs(value.imag) > mpf(10) ** -25 * max(abs(value.real), mpf(1)):
        return None
    return _decimal(value.real), _decimal(value.imag)


def _decimal(value: Any) -> Decimal:
    """Return `value` as a decimal that can be added to others without leaving their range.

    An evaluator's own limits hold for its steps; a product of a thousand of them, or a `cosh`,
    has more digits than `decimal` can count, and writing those down takes a minute.
    """
    if value and mpmath.isfinite(value) and abs(mpmath.mag(value)) > LARGEST_EXPONENT:
        raise Exhausted
    return Decimal(mpmath.nstr(value, mp.dps, strip_zeros=True).replace("inf", "Infinity"))
