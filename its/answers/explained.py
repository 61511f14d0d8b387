"""Why two answers are equal or not, in words, for people who look at a vote."""

from collections.abc import Mapping

from ..types import Answer
from .algebra.judge import Comparison, Judge
from .equality.compare import readings
from .equality.numbers import Number
from .equality.shapes import (
    Based,
    Clock,
    Expression,
    Group,
    Listing,
    Matrix,
    Quantity,
    Ratio,
    Relation,
    Residue,
    Shape,
    Union,
    Words,
)
from .faults import FAULTS
from .guard import compare

NAMES: Mapping[type, str] = {
    Number: "a number", Words: "words", Expression: "an expression", Quantity: "a quantity",
    Based: "a number in a base", Residue: "a residue", Clock: "a time of day", Listing: "a list",
    Group: "a tuple or an interval", Union: "a union of sets", Matrix: "a matrix",
    Ratio: "a ratio", Relation: "a relation",
}  # fmt: skip

OTHER_KINDS: Mapping[str, str] = {
    "json": "JSON", "label": "a label", "text": "a text", "tool": "tool calls",
}  # fmt: skip

_EQUAL: Mapping[type, str] = {
    Number: "the same number, exactly",
    Listing: "the same items",
    Group: "the same items in the same order",
    Matrix: "the same cells",
    Quantity: "the same amount, in units of one kind",
    Relation: "the same relation, or the value that it gives",
    Union: "the same sets",
}

_BY_VALUE = "the same value at every point that was tried"


def meaning(answer: Answer) -> str:
    """Return what an answer was taken for."""
    if answer.kind != "math":
        return OTHER_KINDS[answer.kind]
    if answer.integer is not None:
        return "a whole number"
    kinds = dict.fromkeys(NAMES[type(shape)] for shape in _shapes(answer))
    return " or ".join(kinds) or "nothing that can be read"


def normal(answer: Answer) -> str:
    """Return the form in which answers that are written alike are the same."""
    if answer.integer is not None and answer.kind == "math":
        # A huge integer has no decimal text in Python's limits.
        short = abs(answer.integer) < 10**400
        return str(answer.integer) if short else hex(answer.integer)
    if answer.kind == "label":
        return answer.text.casefold()
    return answer.key if answer.kind == "math" else answer.text


def explain(a: Answer, b: Answer, judge: Judge | None = None) -> tuple[Comparison, str]:
    """Return how two answers compare, and why, as a short sentence."""
    outcome = compare(a, b, judge)
    if a.kind != b.kind and not (a.integer is not None and a.integer == b.integer):
        return outcome, f"{_kind(a)} is not {_kind(b)}"
    if a.integer is not None and b.integer is not None:
        same = "both are the whole number" if a.integer == b.integer else "two whole numbers differ"
        return outcome, same
    if a.text == b.text:
        return outcome, "written alike"
    if normal(a) == normal(b):
        return outcome, "written alike but for spaces or case"
    if a.kind != "math":
        return outcome, "written differently, and such answers are compared as they are written"
    return outcome, _of_meanings(a, b, outcome)


def _of_meanings(a: Answer, b: Answer, outcome: Comparison) -> str:
    pair = f"{meaning(a)} and {meaning(b)}"
    if outcome is Comparison.UNDECIDED:
        return f"{pair}: too large to compare, or not compared in time; they count as different"
    if outcome is Comparison.DIFFERENT:
        return f"{pair}: not equal"
    kinds = {type(shape) for answer in (a, b) for shape in _shapes(answer)}
    if len(kinds) == 1 and (how := _EQUAL.get(next(iter(kinds)))):
        return f"{pair}: {how}"
    if kinds & {Expression, Number} and kinds <= {Expression, Number, Words}:
        return f"{pair}: {_BY_VALUE}"
    return f"{pair}: equal in what they mean"


def _kind(answer: Answer) -> str:
    return "mathematics" if answer.kind == "math" else OTHER_KINDS[answer.kind]


def _shapes(answer: Answer) -> tuple[Shape, ...]:
    try:
        return readings(answer.text)
    except Exception as error:  # a model's text that nobody thought of
        FAULTS.note("read", type(error).__name__)
        return ()
