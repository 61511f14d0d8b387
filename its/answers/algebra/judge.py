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

from ...types import Answer

DIGITS = 120
"""Decimal digits that a judge works with."""

SPARE = 30
"""Digits at the end of a value that rounding may have spoilt."""

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
    `digits` is how many decimal digits the values have. `residues` are the values modulo large
    primes, if the expression is a rational function: they decide exactly.
    """

    values: tuple[Value | None, ...]
    constant: bool
    size: tuple[int, int] = (1, 1)
    digits: int = DIGITS
    residues: tuple[int, ...] | None = None


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


class Remembered:
    """A judge for many votes over the same answers, which compares each pair of them once.

    Each pair gets a judge of its own from `judges`, as a judge's patience is that of one vote: so
    no comparison depends on those before it.
    """

    def __init__(self, judges: Callable[[], Judge]) -> None:
        self._judges = judges
        self._known: dict[tuple[Answer, Answer], Comparison] = {}

    def __call__(self, text: str) -> Sample | Unread:
        return self._judges()(text)

    def recall(
        self, a: Answer, b: Answer, compare: Callable[[Answer, Answer, Judge], Comparison]
    ) -> Comparison:
        """Return what `compare` says of `a` and `b`, or said of them before."""
        found = self._known.get((a, b))
        if found is None:
            found = self._known[a, b] = compare(a, b, self._judges())
        return found


def agree(a: Sample, b: Sample) -> bool | None:
    """Tell whether two expressions have the same values; `None` if too few points can say it."""
    if a.size != b.size:
        return False
    exact = a.residues is not None and b.residues is not None
    if exact and a.residues != b.residues:
        return False
    pairs = _pairs(a, b)
    if not all(_close(first, second, min(a.digits, b.digits)) for first, second in pairs):
        return False
    needed = 1 if a.constant and b.constant else FEWEST_POINTS
    return True if exact or len(pairs) >= max(1, needed * a.size[0] * a.size[1]) else None


def proportion(a: Sample, b: Sample) -> Decimal | None:
    """Return the number c with a = c * b at every point, or `None` if there is none.

    Constants are no multiples of each other: `g(2) = 5` is not `g(3) = 5`.
    """
    if a.size != b.size or a.constant or b.constant:
        return None
    pairs = [(x, y) for x, y in _pairs(a, b) if any(x) or any(y)]
    if len(pairs) < FEWEST_POINTS or any(not any(x) or not any(y) for x, y in pairs):
        return None
    if any(x[1] or y[1] or not x[0].is_finite() or not y[0].is_finite() for x, y in pairs):
        return None
    with localcontext() as context:
        digits = context.prec = min(a.digits, b.digits)
        ratios = [x[0] / y[0] for x, y in pairs]
        tolerance = Decimal(10) ** (SPARE - digits)
        same = all(abs(ratio - ratios[0]) <= tolerance * abs(ratios[0]) for ratio in ratios)
    return ratios[0] if same else None


def _pairs(a: Sample, b: Sample) -> list[tuple[Value, Value]]:
    both = zip(a.values, b.values, strict=True)
    return [(x, y) for x, y in both if x is not None and y is not None]


def _close(x: Value, y: Value, digits: int) -> bool:
    """Tell whether two values are equal but for their last digits, relative to the larger one."""
    if any(part.is_infinite() for part in (*x, *y)):
        return x == y
    with localcontext() as context:
        context.prec = digits
        # Each part is held against the whole value: 1 + 10^-119 i is 1 but for rounding.
        most = max(abs(part) for part in (*x, *y)) * Decimal(10) ** (SPARE - digits)
        return all(abs(p - q) <= most for p, q in zip(x, y, strict=True))
