"""The structure of an answer, from its text.

`shape` takes a tidy text apart at the brackets, commas and relation signs that stand at its top
level. What is left at the leaves is for `numbers` or, as an expression, for the judge.
"""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from .numbers import Number, number
from .shapes import (
    Expression,
    Group,
    Listing,
    Matrix,
    Quantity,
    Ratio,
    Relation,
    Shape,
    Union,
    Words,
)
from .units import split_unit

LONGEST = 1_000
DEEPEST = 12
"""Brackets in brackets; deeper text is left whole."""

_OPENING, _CLOSING = "([{", ")]}"
_AND = re.compile(r"\s*[,;]?\s+(?:and|or)\s+|\s+(?:and|or)(?=[({\\\d-])|(?<=[)}\d])(?:and|or)\s*")
_MATRIX = re.compile(
    r"\\begin\{([pbBvV]?matrix|smallmatrix|array)\}(?:\{[lcr|\s]*\})?((?:(?!\\begin).)*)\\end\{\1\}",
    re.DOTALL,
)
_SIGN = re.compile(r"\\(le|ge|ne|approx|in|subset|equiv|to)(?![A-Za-z])|[=<>]")
_LETTER = re.compile(r"[(\[]?\s*([A-Za-z])\s*[)\].:]?")
_WORDS = re.compile(r"[A-Za-z][A-Za-z'\-]*(?:[\s,]+[A-Za-z0-9'\-]+)*")
_CHOICE = re.compile(r"([A-J])(?:\)|:(?=\s))\s*\S.*", re.DOTALL)
_CHOICES = re.compile(r"[A-E]{2,5}")
_COUNTS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
_NO_SOLUTION = re.compile(
    r"(?:there (?:is|are) )?(?:no (?:real |such )?(?:solutions?|values?|numbers?)|none"
    r"|(?:the )?empty set|does not exist|dne)",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"\b(?:the|a|an)\s+")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
_PARTS_OF_DAY = re.compile(r"\s*\b([ap])\.?\s?m\.?$", re.IGNORECASE)


def shape(text: str, depth: int = 0) -> Shape:
    """Return the structure of the tidy `text`."""
    text = _with_round_ends(text.strip())
    if depth == 0 and (choice := _CHOICE.fullmatch(text)):
        return Words(choice[1].casefold())
    if depth > DEEPEST or len(text) > LONGEST or not balanced(text):
        return Expression(text)
    for read in (_number, _matrix, _enclosed, _listing, _union, _relation, _ratio, _plus_minus):
        found = read(text, depth)
        if found is not None:
            return found
    return _words(text) or _quantity(text, depth) or Expression(text)


def _with_round_ends(text: str) -> str:
    """Return an interval of the French kind, `]0,1[`, with round brackets at its open ends."""
    ends = text[:1] == "]", text[-1:] == "["
    if len(text) < 3 or not any(ends) or (text[:1] not in "[](" or text[-1:] not in "[])"):
        return text
    inside = text[1:-1]
    opening = "(" if ends[0] else text[0]
    closing = ")" if ends[1] else text[-1]
    return f"{opening}{inside}{closing}" if balanced(inside) else text


def balanced(text: str) -> bool:
    """Tell whether every bracket closes one; `[0,1)` does."""
    level = 0
    for char, _ in _brackets(text):
        level += 1 if char in _OPENING else -1
        if level < 0:
            return False
    return level == 0


def _brackets(text: str) -> Iterator[tuple[str, int]]:
    for index, char in enumerate(text):
        if char in _OPENING or char in _CLOSING:
            yield char, index


def split(text: str, separators: str) -> list[str]:
    """Return the parts of `text` between those separators that stand outside all brackets."""
    parts, level, start = [], 0, 0
    for index, char in enumerate(text):
        if char in _OPENING:
            level += 1
        elif char in _CLOSING:
            level -= 1
        elif level == 0 and char in separators:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _at_top(text: str, matches: Iterable[re.Match[str]]) -> list[re.Match[str]]:
    """Return those of `matches` that begin outside all brackets."""
    level, levels = 0, []
    for char in text:
        levels.append(level)
        level += (char in _OPENING) - (char in _CLOSING)
    return [match for match in matches if levels[match.start()] == 0]


def _number(text: str, _: int) -> Shape | None:
    return number(text)


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
    if opening not in tuple(_OPENING) or closing not in tuple(_CLOSING):
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
    return Listing(tuple(_flat(shape(item, depth + 1) for item in split(inside, ",;"))))


def _flat(items: Iterator[Shape]) -> Iterator[Shape]:
    for item in items:
        if isinstance(item, Listing):
            yield from item.items
        else:
            yield item


def _listing(text: str, depth: int) -> Shape | None:
    spread = _spread_and(text)
    outer = split(spread, ";")
    items = outer if len(outer) > 1 else split(spread, ",")
    items = [item.strip() for item in items if item.strip()]
    if len(items) < 2:
        return shape(items[0], depth + 1) if items and items[0] != text else None
    if len(outer) == 1:
        items = _regrouped(items)
    if all(_WORDS.fullmatch(item) and not _LETTER.fullmatch(item) for item in items):
        return _words(text)
    if len(outer) > 1:
        return Listing(tuple(_as_tuple(shape(item, depth + 1)) for item in items))
    return Listing(tuple(_flat(shape(item, depth + 1) for item in items)))


def _spread_and(text: str) -> str:
    """Return `text` with "and" and "or" as commas, or as semicolons where they part pairs."""

    joints = _at_top(text, _AND.finditer(text))
    edges = [0, *(edge for match in joints for edge in match.span()), len(text)]
    parts = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    sizes = {len(split(part, ",")) for part in parts}
    pairs = len(sizes) == 1 and sizes != {1} and len(parts) > 1
    return (";" if pairs else ",").join(parts)


def _regrouped(items: list[str]) -> list[str]:
    """Read `x = 1, 2, 3` as the values of x, and `x, y > 0` as it stands."""
    if len(items) > 1 and "=" in items[0] and not any("=" in item for item in items[1:]):
        name, _, first = items[0].rpartition("=")
        if is_name(name):
            return [first, *items[1:]]
    return items


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
    found = _at_top(text, _SIGN.finditer(text))
    if not found or len(found) > 6:
        return None
    edges = [0, *(edge for match in found for edge in match.span()), len(text)]
    sides = tuple(
        text[start:end].strip() for start, end in zip(edges[::2], edges[1::2], strict=True)
    )
    return Relation(sides, tuple(match[1] or match[0] for match in found))


def _ratio(text: str, depth: int) -> Shape | None:
    text = text.replace(r"\colon", ":")
    clock = _PARTS_OF_DAY.sub("", text).strip()
    half = _PARTS_OF_DAY.search(text)
    if half and (_CLOCK.fullmatch(clock) or clock.isdecimal()):
        return Words(f"{clock if ':' in clock else clock + ':00'} {half[1].lower()}m")
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


def _words(text: str) -> Shape | None:
    if letter := _LETTER.fullmatch(text):
        return Words(letter[1].casefold())
    if choice := re.fullmatch(r"\(?([A-J])[).:]\s*\S.*", text):
        return Words(choice[1].casefold())
    if _CHOICES.fullmatch(text) and len(set(text)) == len(text):
        return Listing(tuple(Words(letter.casefold()) for letter in text))
    if text == r"\emptyset" or _NO_SOLUTION.fullmatch(text):
        return Words("no solution")
    if text.casefold() in _COUNTS:
        return Number(Fraction(_COUNTS.index(text.casefold())))
    if _WORDS.fullmatch(text) and (len(text) > 3 or " " in text or text.istitle()):
        return Words(_ARTICLE.sub("", " ".join(re.findall(r"[a-z0-9']+", text.casefold()))))
    return None


def _quantity(text: str, depth: int) -> Shape | None:
    amount, unit = split_unit(text)
    if not unit:
        return None
    return Quantity(shape(amount, depth + 1), unit)


_NAME = re.compile(
    r"(?:\\(?:angle|triangle|overline|vec|hat|bar|frac|mathrm|operatorname|min|max|Delta|theta|alpha"
    r"|beta|gamma|lambda|mu|sigma|phi|omega|cdot|circ|measuredangle|prime|zzz|[a-zA-Z]+))?"
    r"[A-Za-z0-9_{}()\[\]|':,.\s\\]*"
)


def is_name(side: str) -> bool:
    """Tell whether a side of an equation only names what is looked for: `x`, `f(x)`, `|AB|`."""
    side = side.strip()
    if not side or len(side) > 60 or side[0].isdigit():
        return False
    if number(side) is not None or re.search(r"[A-Za-z]", side) is None:
        return False
    bare = re.sub(r"\^\{-1\}|_(?:\{[^{}]*\}|\w)|\([^()]*\)|\\[A-Za-z]+", "", side)
    if re.search(r"\d|[+\-*/^!]", bare):
        return False
    return bool(_NAME.fullmatch(side.replace("^{-1}", ""))) or bool(
        re.fullmatch(r"[A-Za-z\s]+", side)
    )


def head(name: str) -> str:
    """Return a name without its arguments and decoration: `W(n)` and `W(x)` are both about W."""
    bare = re.sub(r"\([^()]*\)|\\(?:text|mathrm|left|right)|[\s{}|\\]", "", name)
    return bare.casefold()
