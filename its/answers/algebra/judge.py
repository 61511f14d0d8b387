"""What a judge says of an expression, and how two such sayings compare.

A judge evaluates an expression at fixed points: every symbol has the same value in every
expression, so that two expressions are equal where their values are (Schwartz 1980, Zippel 1979).
One evaluation for each answer, and not one for each pair, keeps a vote of many answers linear, and
a pair's verdict cannot depend on what was compared before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import Enum
from typing import TypeAlias

DIGITS = 120
"""Decimal digits that a judge works with."""

AGREE = Decimal("1e-90")
"""Two values agree if they differ by less than this, relative to the larger one (at least 1)."""

FEWEST_POINTS = 2

LONGEST = 300
"""Characters of an expression; a longer one is not evaluated."""

Value: TypeAlias = tuple[Decimal, Decimal]
"""Real and imaginary part."""


class Comparison(Enum):
    """The outcome of comparing two answers; `UNDECIDED` counts as not equal and is reported."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


class Unread(Enum):
    """Why there are no values: it is no expression, or it went beyond a limit."""

    UNREADABLE = "unreadable"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Sample:
    """An expression's values, one for each point; `None` where it has no (real) value.

    Of a matrix the values of its cells stand one after the other; `size` is rows and columns.
    """

    values: tuple[Value | None, ...]
    constant: bool
    size: tuple[int, int] = (1, 1)


Judge: TypeAlias = Callable[[str], Sample | Unread]
"""Evaluates a LaTeX expression. The edge builds it (`algebra.workers`); the core calls it."""


class Watched:
    """A judge that remembers what stays undecided, and may be out of time.

    `over` says that time is up: pairs of answers that are not compared by then stay undecided.
    """

    def __init__(self, judge: Judge, over: Callable[[], bool] = lambda: False) -> None:
        self._judge, self._over = judge, over
        self.undecided: set[str] = set()

    def __call__(self, text: str) -> Sample | Unread:
        found = self._judge(text)
        if found is Unread.EXHAUSTED:
            self.undecided.add(text)
        return found

    def over(self, text: str) -> bool:
        """Tell whether time is up, so that the answer `text` stays undecided."""
        if self._over():
            self.undecided.add(text)
            return True
        return False


def agree(a: Sample, b: Sample) -> bool | None:
    """Tell whether two expressions have the same values; `None` if too few points can say it."""
    if a.size != b.size:
        return False
    pairs = _pairs(a, b)
    needed = 1 if a.constant and b.constant else FEWEST_POINTS
    if len(pairs) < needed:
        return None
    return all(_close(first, second) for first, second in pairs)


def proportion(a: Sample, b: Sample) -> Decimal | None:
    """Return the constant c with a = c * b at every point, or `None` if there is none."""
    if a.size != b.size:
        return None
    pairs = [(x, y) for x, y in _pairs(a, b) if not (_is_zero(x) and _is_zero(y))]
    if len(pairs) < FEWEST_POINTS or any(_is_zero(x) or _is_zero(y) for x, y in pairs):
        return None
    if any(x[1] or y[1] or not x[0].is_finite() or not y[0].is_finite() for x, y in pairs):
        return None
    with localcontext() as context:
        context.prec = DIGITS
        ratios = [x[0] / y[0] for x, y in pairs]
        same = all(abs(ratio - ratios[0]) <= AGREE * abs(ratios[0]) for ratio in ratios)
    return ratios[0] if same else None


def _pairs(a: Sample, b: Sample) -> list[tuple[Value, Value]]:
    both = zip(a.values, b.values, strict=True)
    return [(x, y) for x, y in both if x is not None and y is not None]


def _close(x: Value, y: Value) -> bool:
    return all(_near(p, q) for p, q in zip(x, y, strict=True))


def _near(p: Decimal, q: Decimal) -> bool:
    if p.is_infinite() or q.is_infinite():
        return p == q
    with localcontext() as context:
        context.prec = DIGITS
        return abs(p - q) <= AGREE * max(abs(p), abs(q), Decimal(1))


def _is_zero(x: Value) -> bool:
    return _near(x[0], Decimal(0)) and _near(x[1], Decimal(0))
