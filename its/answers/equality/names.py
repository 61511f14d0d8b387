"""The names of what is looked for: `x`, `f(x)`, `|AB|`, `\\angle ABC`."""

import re

from .numbers import number

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
    """Return a name without its decoration, and without arguments that are letters.

    `W(n)` and `W(x)` are both about W; `f(1)` and `f(2)` are two things.
    """
    bare = re.sub(r"\([^()\d]*\)|\\(?:text|mathrm|left|right)|[\s{}|\\]", "", name)
    return bare.casefold().removeprefix("part_")
