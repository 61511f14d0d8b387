"""Whether two answers are equal, and which of many are: the votes of a panel.

In layers, each deciding what it can: integers; one spelling of the text; numbers, exactly;
structure; and what is left are expressions, which a judge evaluates.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache

from ...types import Answer
from ..algebra.judge import Comparison, Judge, Sample, Unread, agree, proportion
from . import amounts, relations
from .amounts import leaf_text
from .numbers import Number, rounds, same_number
from .shapes import (
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
from .spellings import grouped, with_decimal_points
from .structure import shape

EQUAL, DIFFERENT, UNDECIDED = Comparison.EQUAL, Comparison.DIFFERENT, Comparison.UNDECIDED


def compare(a: Answer, b: Answer, judge: Judge | None = None) -> Comparison:
    """Compare two answers; without a `judge` what needs algebra stays undecided.

    The comparison is symmetric. A set of all solutions does not equal one of them.
    """
    if a.integer is not None and b.integer is not None:
        return EQUAL if a.integer == b.integer else DIFFERENT
    if a.kind != b.kind:
        return DIFFERENT
    if a.kind != "math":
        return EQUAL if _same_text(a, b) else DIFFERENT
    if a.key == b.key:
        return EQUAL
    if b.text < a.text:
        a, b = b, a  # what is undecided may depend on the order; so there is only one
    outcomes = []
    for first in readings(a.text):
        for second in readings(b.text):
            outcome = _Comparer(judge).compare(first, second)
            if outcome is EQUAL:
                return EQUAL
            outcomes.append(outcome)
    return UNDECIDED if UNDECIDED in outcomes else DIFFERENT


def _same_text(a: Answer, b: Answer) -> bool:
    """Tell whether two answers that are no mathematics are written alike; a label has no case."""
    if a.kind == "label":
        return a.text.casefold() == b.text.casefold()
    return a.text == b.text


@lru_cache(maxsize=4096)
def readings(text: str) -> tuple[Shape, ...]:
    """Return what a tidy text may mean: `1,234` is a number or a list, `1,22` may be decimal."""
    spellings = dict.fromkeys((grouped(text), text, with_decimal_points(text)))
    return tuple(shape(spelling) for spelling in spellings)


class _Comparer:
    """Compares shapes; holds the judge that decides expressions."""

    def __init__(self, judge: Judge | None) -> None:
        self._judge = judge

    def compare(self, a: Shape, b: Shape) -> Comparison:
        if a == b:
            return EQUAL
        for first, second in ((a, b), (b, a)):
            rule = _RULES.get((type(first), type(second)))
            if rule:
                return rule(self, first, second)
        for first, second in ((a, b), (b, a)):
            if one_sided := _ONE_SIDED.get(type(first)):
                return one_sided(self, first, second)
        return self._leaves(a, b)

    def _leaves(self, a: Shape, b: Shape) -> Comparison:
        """Compare numbers, letters and expressions by their values."""
        texts = leaf_text(a), leaf_text(b)
        if texts[0] is None or texts[1] is None:
            return self._of_other_kinds(a, b)
        first, second = self._sample(texts[0]), self._sample(texts[1])
        if not isinstance(first, Sample) or not isinstance(second, Sample):
            return UNDECIDED  # what nobody could read may be equal
        same = agree(first, second)
        exact = first.residues is not None and second.residues is not None
        if same and not exact and first.digits != second.digits:
            same = self._no_difference(texts[0], texts[1])
        if same is False and (_rounds(a, second) or _rounds(b, first)):
            return EQUAL
        return UNDECIDED if same is None else EQUAL if same else DIFFERENT

    def _no_difference(self, a: str, b: str) -> bool | None:
        """Tell whether a - b is 0: one has parts too small for the other's digits."""
        difference, nothing = self._sample(f"({a})-({b})"), self._sample("0")
        if not isinstance(difference, Sample) or not isinstance(nothing, Sample):
            return None
        return agree(difference, nothing)

    def _of_other_kinds(self, a: Shape, b: Shape) -> Comparison:
        """An expression and a list differ, if the expression is one."""
        for leaf in (a, b):
            if isinstance(leaf, Expression) and isinstance(self._sample(leaf.text), Unread):
                return UNDECIDED
        return DIFFERENT

    def _sample(self, text: str) -> Sample | Unread:
        return self._judge(text) if self._judge else Unread.EXHAUSTED

    def numbers(self, a: Number, b: Number) -> Comparison:
        return EQUAL if same_number(a, b) else DIFFERENT

    def words(self, a: Words, b: Words) -> Comparison:
        return EQUAL if a.text == b.text else DIFFERENT

    def word_and_expression(self, a: Words, b: Expression) -> Comparison:
        if a.text == b.text.casefold() or (a.text, b.text) == ("infinitely many", r"\infty"):
            return EQUAL
        return self._leaves(a, b) if len(a.text) == 1 else DIFFERENT

    def word_and_number(self, a: Words, b: Number) -> Comparison:
        return self._leaves(a, b) if a.text == "e" else DIFFERENT

    def listings(self, a: Listing, b: Listing) -> Comparison:
        """Lists have no order, but the values of several names, `x = 2, y = 1`, have."""
        if _are_named(a) != _are_named(b):
            return self.ordered(a.items, b.items)
        return self._unordered(a.items, b.items)

    def listing(self, a: Listing, b: Shape) -> Comparison:
        """A list of one is its item; a list against a tuple or a row keeps its order."""
        if isinstance(b, Relation):
            return self.relation(b, a)
        if len(a.items) == 1:
            return self.compare(a.items[0], b)
        if isinstance(b, Matrix) and 1 in (len(b.rows), len(b.rows[0])):
            return self.ordered(a.items, [cell for row in b.rows for cell in row])
        return DIFFERENT

    def listing_and_group(self, a: Listing, b: Group) -> Comparison:
        if (b.opening, b.closing) not in (("(", ")"), ("[", "]")):
            return DIFFERENT  # a half-open interval
        return DIFFERENT if a.braced and b.opening == "(" else self.ordered(a.items, b.items)

    def listing_and_union(self, a: Listing, b: Union) -> Comparison:
        """`x < 1 or x > 2` is a union."""
        sets = [relations.interval(i) if isinstance(i, Relation) else i for i in a.items]
        known = [found for found in sets if found is not None]
        return self._unordered(known, b.parts) if len(known) == len(sets) else DIFFERENT

    def groups(self, a: Group, b: Group) -> Comparison:
        brackets = (a.opening, a.closing) == (b.opening, b.closing)
        if len(a.items) == 2 and not brackets:
            return DIFFERENT  # an interval with other ends
        return self.ordered(a.items, b.items)

    def group_and_matrix(self, a: Group, b: Matrix) -> Comparison:
        if 1 in (len(b.rows), len(b.rows[0])):
            flat = [cell for row in b.rows for cell in row]
            return self.ordered([_bare(item) for item in a.items], flat)
        rows = [item.items if isinstance(item, Group | Listing) else (item,) for item in a.items]
        if len(rows) != len(b.rows):
            return DIFFERENT
        return _all(self.ordered(x, y) for x, y in zip(rows, b.rows, strict=True))

    def matrices(self, a: Matrix, b: Matrix) -> Comparison:
        if [len(row) for row in a.rows] != [len(row) for row in b.rows]:
            return DIFFERENT
        return _all(self.ordered(x, y) for x, y in zip(a.rows, b.rows, strict=True))

    def unions(self, a: Union, b: Union) -> Comparison:
        return self._unordered(a.parts, b.parts)

    def relations(self, a: Relation, b: Relation) -> Comparison:
        return relations.compare(self, a, b)

    def relation(self, a: Relation, b: Shape) -> Comparison:
        """`x = 3` is 3, `x in A` is A, `x > 3` is an interval; an equation is no value."""
        meant = relations.value(a)
        if meant is None:
            meant = relations.interval(a)
            if isinstance(b, Listing) and not isinstance(meant, Union):
                return DIFFERENT  # an inequality is no list of its ends
        return self.compare(meant, b) if meant is not None else DIFFERENT

    def scaled(self, a: str, b: str) -> float | None:
        """Return c where the expressions are a = c * b at every point, else `None`."""
        first, second = self._sample(a), self._sample(b)
        if not isinstance(first, Sample) or not isinstance(second, Sample):
            return None
        factor = proportion(first, second)
        return None if factor is None else float(factor)

    def ordered(self, a: Sequence[Shape], b: Sequence[Shape]) -> Comparison:
        if len(a) != len(b):
            return DIFFERENT
        return _all(self.compare(x, y) for x, y in zip(a, b, strict=True))

    def _unordered(self, a: Sequence[Shape], b: Sequence[Shape]) -> Comparison:
        """Match items one to one. Equality is transitive, so that the first match will do."""
        a, b = tuple(dict.fromkeys(a)), tuple(dict.fromkeys(b))
        if len(a) != len(b) or len(a) > MOST_ITEMS:
            return DIFFERENT if len(a) != len(b) else UNDECIDED
        left = list(b)
        undecided = False
        for item in a:
            for other in left:
                outcome = self.compare(item, other)
                undecided = undecided or outcome is UNDECIDED
                if outcome is EQUAL:
                    left.remove(other)
                    break
            else:
                return UNDECIDED if undecided else DIFFERENT
        return EQUAL


MOST_ITEMS = 100

_RULES: dict[tuple[type, type], Callable[..., Comparison]] = {
    (Number, Number): _Comparer.numbers,
    (Words, Words): _Comparer.words,
    (Words, Expression): _Comparer.word_and_expression,
    (Words, Number): _Comparer.word_and_number,
    (Based, Based): amounts.bases,
    (Residue, Residue): amounts.residues,
    (Residue, Quantity): lambda comparer, a, b: DIFFERENT,
    (Clock, Clock): lambda comparer, a, b: DIFFERENT,
    (Clock, Ratio): amounts.clock_and_ratio,
    (Quantity, Quantity): amounts.quantities,
    (Listing, Listing): _Comparer.listings,
    (Listing, Group): _Comparer.listing_and_group,
    (Listing, Union): _Comparer.listing_and_union,
    (Group, Group): _Comparer.groups,
    (Group, Matrix): _Comparer.group_and_matrix,
    (Matrix, Matrix): _Comparer.matrices,
    (Union, Union): _Comparer.unions,
    (Ratio, Ratio): amounts.ratios,
    (Ratio, Number): amounts.ratio_and_leaf,
    (Ratio, Expression): amounts.ratio_and_leaf,
    (Relation, Relation): _Comparer.relations,
}
_ONE_SIDED: dict[type, Callable[..., Comparison]] = {
    Quantity: amounts.quantity,
    Based: amounts.based,
    Residue: amounts.residue,
    Listing: _Comparer.listing,
    Relation: _Comparer.relation,
}


def _all(outcomes: Iterable[Comparison]) -> Comparison:
    found = list(outcomes)
    if DIFFERENT in found:
        return DIFFERENT
    return UNDECIDED if UNDECIDED in found else EQUAL


def _are_named(listing: Listing) -> bool:
    """Tell whether the items give the values of several names."""
    relations_only = [item for item in listing.items if isinstance(item, Relation)]
    return len({item.sides[0] for item in relations_only}) > 1


def _bare(item: Shape) -> Shape:
    """Return the item of a list of one."""
    return item.items[0] if isinstance(item, Group | Listing) and len(item.items) == 1 else item


def _rounds(written: Shape, exact: Sample) -> bool:
    """Tell whether a decimal is what the expression rounds to."""
    if not isinstance(written, Number) or not exact.constant or exact.values[0] is None:
        return False
    real, imaginary = exact.values[0]
    if imaginary or not real.is_finite():
        return False
    return rounds(written, Number(Fraction(real)))
