"""The structure of an answer, from its text.

`shape` takes a tidy text apart at the brackets, commas and relation signs that stand at its top
level. What is left at the leaves is for `numbers` or, as an expression, for the judge.
"""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from . import counted, leaves
from .brackets import CLOSING, OPENING, at_top, balanced, split, with_round_ends
from .lists import regrouped, spread_and, written_out
from .numbers import Number, number
from .shapes import (
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
)
from .units import split_unit

LONGEST = 1_000
DEEPEST = 12
"""Brackets in brackets; deeper text is left whole."""

_MATRIX = re.compile(
    r"\\begin\{([pbBvV]?matrix|smallmatrix|array)\}(?:\{[lcr|\s]*\})?((?:(?!\\begin).)*)\\end\{\1\}",
    re.DOTALL,
)
_SIGN = re.compile(r"\\(le|ge|ne|approx|in|subset|equiv|to)(?![A-Za-z])|[=<>]")
_CHOICES = re.compile(r"[A-E]{2,5}")
_LABELLED = re.compile(
    r"[(\[]?\s*([A-Z]|[a-h]|[ivx]{1,4}|[IVX]{1,4}|\d{1,2})\s*(?:[)\]]\s*[:=]?|:(?!\d))\s*(\S.*)",
    re.DOTALL,
)
_HALF_BRACKET = re.compile(r"(^|[,;]\s*)([A-Za-z]|[ivx]{1,4}|\d)\)\s*:?\s")
_FIRST_LABEL = re.compile(r"\(?(?:[aA1i])\)\s")
_NEXT_LABEL = re.compile(r"\s+(?=\((?:[a-hA-H2-9]|[ivx]{1,4})\)\s)")
_MODULO = re.compile(
    r"(.*\S)\s*\(?\s*(?:\\pmod|\\bmod|\\mod|\bmod(?:ulo)?\b)\s*\{?\s*([^{}()]+?)\s*\}?\s*\)?"
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
_MINUS_SET = re.compile(r"\\(?:setminus|backslash)(?![A-Za-z])")


def shape(text: str, depth: int = 0) -> Shape:
    """Return the structure of the tidy `text`."""
    text = with_round_ends(text.strip())
    if depth == 0 and (found := _labelled(text) or leaves.choice(text)):
        return found
    if depth > DEEPEST or len(text) > LONGEST or not balanced(text):
        return Expression(text)
    for read in _READERS:
        found = read(text, depth)
        if found is not None:
            return found
    return Expression(text)


def _labelled(text: str) -> Shape | None:
    """Read `A: 3, B: 4` and `(a) 3; (b) 4` as what each label is."""
    text = _HALF_BRACKET.sub(r"\1(\2) ", text)
    if "," in text or ";" in text:
        written = split(text, ";" if ";" in text else ",")
    elif _FIRST_LABEL.match(text):
        written = _NEXT_LABEL.split(text)
    else:
        return None
    parts = [_LABELLED.fullmatch(part.strip()) for part in written]
    found = [part for part in parts if part]
    if len(found) < 2 or len(found) != len(parts) or len({part[1] for part in found}) < len(found):
        return None
    items = (Relation((_label(part[1]), part[2].strip()), ("=",)) for part in found)
    return Listing(tuple(items))


def _label(label: str) -> str:
    """Return a label as the name of what it stands before: `(2)` as `part_b`."""
    return f"part_{chr(96 + int(label)) if label.isdigit() else label.casefold()}"


def _number(text: str, _: int) -> Shape | None:
    if not text[:1].isalpha() and (found := number(text)) is not None:
        return found
    return leaves.literal(text) or leaves.spoken(text) or number(text)


def _matrix(text: str, depth: int) -> Shape | None:
    match = _MATRIX.fullmatch(_inside_brackets_of_array(text))
    if not match:
        return None
    body = re.sub(r"\\hline|\\cline\{[^{}]*\}", "", match[2])
    rows = [row for row in re.split(r"\\\\|\\cr", body) if row.strip()]
    cells = tuple(tuple(shape(cell, depth + 1) for cell in row.split("&")) for row in rows)
    return Matrix(cells, match[0]) if cells else None


def _inside_brackets_of_array(text: str) -> str:
    bare = text.strip()
    if bare[:1] in "([" and bare[-1:] in ")]" and bare[1:].lstrip().startswith(r"\begin{array}"):
        return bare[1:-1].strip()
    return bare


def _enclosed(text: str, depth: int) -> Shape | None:
    """Read what stands between one pair of brackets: a set, a tuple, an interval."""
    opening, closing = text[:1], text[-1:]
    if text.startswith(r"\{") and text.endswith(r"\}"):
        inside = text[2:-2]
        return _set(inside, depth) if balanced(inside) else None
    if opening not in tuple(OPENING) or closing not in tuple(CLOSING):
        return None
    inside = text[1:-1]
    if not balanced(inside) or inside.endswith("\\"):
        return None
    items = split(inside, ";") if ";" in inside else split(inside, ",")
    if opening == "{":
        return shape(inside, depth + 1)
    if len(items) < 2:
        return shape(inside, depth + 1) if (opening, closing) in {("(", ")"), ("[", "]")} else None
    return Group(opening, tuple(shape(item, depth + 1) for item in items), closing)


def _set(inside: str, depth: int) -> Shape:
    condition = re.split(r"\||:|\\colon", inside, maxsplit=1)
    if len(condition) == 2 and _SIGN.search(condition[1]):
        return shape(condition[1], depth + 1)
    items = written_out([item.strip() for item in split(inside, ",;")])
    return Listing(tuple(_flat(shape(item, depth + 1) for item in items)), braced=True)


def _flat(items: Iterator[Shape]) -> Iterator[Shape]:
    for item in items:
        if isinstance(item, Listing):
            yield from item.items
        else:
            yield item


def _listing(text: str, depth: int) -> Shape | None:
    cells = "&" in text and r"\begin" not in text  # the rest of a matrix without its frame
    spread = spread_and(text.replace("&", ",") if cells else text)
    outer = split(spread, ";")
    items = outer if len(outer) > 1 else split(spread, ",")
    items = [item.strip() for item in items if item.strip()]
    if len(items) < 2:
        return shape(items[0], depth + 1) if items and items[0] != text else None
    if len(outer) == 1:
        items = regrouped(items)
    if text[:1].isalpha() and (short := leaves.words(text)) and short.text in ("yes", "no"):
        return short
    if len(outer) > 1:
        return Listing(tuple(_as_tuple(shape(item, depth + 1)) for item in items))
    items = written_out(items)
    return Listing(tuple(_flat(shape(item, depth + 1) for item in items)))


def _as_tuple(found: Shape) -> Shape:
    """Read `p=5, q=2; p=7, q=2` as two pairs."""
    return Group("(", found.items, ")") if isinstance(found, Listing) else found


def _union(text: str, depth: int) -> Shape | None:
    if r"\cup" not in text:
        return None
    parts = split(text.replace(r"\cup", "\x00"), "\x00")
    if len(parts) < 2:
        return None
    return Union(tuple(shape(part, depth + 1) for part in parts))


def _relation(text: str, _: int) -> Shape | None:
    found = at_top(text, _SIGN.finditer(text))
    if not found or len(found) > 6:
        return None
    edges = [0, *(edge for match in found for edge in match.span()), len(text)]
    sides = tuple(
        text[start:end].strip() for start, end in zip(edges[::2], edges[1::2], strict=True)
    )
    return Relation(sides, tuple(match[1] or match[0] for match in found))


def _difference(text: str, depth: int) -> Shape | None:
    r"""Read an interval less single points, `(-1,1) \setminus \{0\}`, as a union."""
    parts = _MINUS_SET.split(text)
    if len(parts) != 2 or not (balanced(parts[0]) and balanced(parts[1])):
        return None
    whole, holes = shape(parts[0], depth + 1), shape(parts[1], depth + 1)
    points: Sequence[Shape] = holes.items if isinstance(holes, Listing) else (holes,)
    if not isinstance(whole, Group) or len(whole.items) != 2:
        return None
    numbers = sorted((point for point in points if isinstance(point, Number)), key=_value)
    if len(numbers) == len(points):
        points = numbers
    elif len(points) > 1:
        return None
    edges = (whole.items[0], *(edge for point in points for edge in (point, point)), whole.items[1])
    brackets = [whole.opening, *[")", "("] * len(points), whole.closing]
    pieces = zip(edges[::2], edges[1::2], brackets[::2], brackets[1::2], strict=True)
    return Union(tuple(Group(left, (low, high), right) for low, high, left, right in pieces))


def _value(number: Number) -> Fraction:
    return number.value


def _residue(text: str, depth: int) -> Shape | None:
    if "mod" not in text or not (match := _MODULO.fullmatch(text)):
        return None
    amount = match[1].removesuffix("(").strip()  # the bracket of `5 (mod 7)`
    if not balanced(amount):
        return None
    return Residue(shape(amount, depth + 1), shape(match[2], depth + 1))


def _ratio(text: str, depth: int) -> Shape | None:
    text = text.replace(r"\colon", ":")
    if time := leaves.clock(text):
        return time
    if to := re.fullmatch(r"(\S+) to (\S+)(?: to (\S+))?", text):
        spoken = [part for part in to.groups() if part]
        if all(number(part) is not None for part in spoken):
            text = ":".join(spoken)
    terms = split(text, ":")
    if len(terms) < 2 or not all(term.strip() for term in terms):
        return None
    shapes = tuple(shape(term, depth + 1) for term in terms)
    return Ratio(shapes, bool(_CLOCK.fullmatch(text.strip())))


def _plus_minus(text: str, depth: int) -> Shape | None:
    """Read a plus-minus as the two values that it stands for."""
    if r"\pm" not in text and r"\mp" not in text:
        return None
    signs = ((r"\pm", "+", r"\mp", "-"), (r"\pm", "-", r"\mp", "+"))
    values = [
        re.sub(r"^\s*\+", "", text.replace(a, b).replace(c, d)).replace("(+", "(")
        for a, b, c, d in signs
    ]
    return Listing(tuple(shape(value, depth + 1) for value in values))


def _leaf(text: str, depth: int) -> Shape | None:
    if _CHOICES.fullmatch(text) and sorted(set(text)) == list(text):
        return Listing(tuple(shape(letter, depth + 1) for letter in text))
    return leaves.based(text) or leaves.words(text)


def _quantity(text: str, depth: int) -> Shape | None:
    found = split_unit(text)
    return None if found is None else Quantity(shape(found[0], depth + 1), found[1])


_READERS = (
    *(
        _number,
        _matrix,
        _enclosed,
        counted.compound,
        _listing,
        _difference,
        _union,
        _relation,
        _residue,
    ),
    *(_residue, _ratio, _plus_minus, counted.spoken, _leaf, _quantity),
)
