r"""Formulas as MathML trees, which the page builds node by node: nothing is ever parsed as HTML.

What models write is hostile: `\href` makes links, `\text{<script>}` makes elements, `\def` makes
texts that grow without end. So formulas are short and shallow, define nothing, and only elements
and attributes that are listed here go through; of any other formula the page shows the LaTeX.
"""

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias
from xml.etree import ElementTree

Tree: TypeAlias = tuple[str, dict[str, str], str, list["Tree"]]
"""Element, attributes, text, children."""

LONGEST = 600
"""Characters of a formula: converting takes 20 ms then, its tree 150 KB of memory."""

DEEPEST = 40
MOST = 200
"""Formulas of one request; so many trees are kept."""

MOST_SECONDS = 1.0
"""Of CPU time for one request: a thread that converts slows down all requests."""

_DEFINES = re.compile(r"\\(?:[gex]?def|let|\w*newcommand|providecommand|newenvironment)(?![a-z])")
_ELEMENTS = frozenset({
    "math", "mrow", "mi", "mo", "mn", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msup", "msub",
    "msubsup", "mover", "munder", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded",
    "mphantom", "menclose", "mmultiscripts", "mprescripts", "none",
})  # fmt: skip
_ATTRIBUTES = frozenset({
    "display", "displaystyle", "mathvariant", "stretchy", "fence", "form", "separator", "accent",
    "accentunder", "movablelimits", "linethickness", "columnalign", "rowspacing", "columnspacing",
    "notation", "lspace", "rspace", "minsize", "maxsize", "width", "scriptlevel", "symmetric",
})  # fmt: skip
_VALUE = re.compile(r"[A-Za-z0-9. %+-]{0,60}")


class _Refused(Exception):
    """Something in it may not be shown."""


def trees(formulas: Sequence[str]) -> list[Tree | None]:
    """Return the MathML of LaTeX formulas; `None` where the LaTeX has to do."""
    until = time.thread_time() + MOST_SECONDS
    return [tree(each) if time.thread_time() < until else None for each in formulas[:MOST]]


@lru_cache(maxsize=MOST)
def tree(formula: str) -> Tree | None:
    """Return the MathML of one formula; `None` if it is too long, too deep, or not allowed."""
    if len(formula) > LONGEST or _depth(formula) > DEEPEST or _DEFINES.search(formula):
        return None
    from latex2mathml.converter import convert  # only somebody who looks needs it

    try:
        return _checked(ElementTree.fromstring(convert(formula)))
    except Exception:  # whatever its parser raises at a model's text
        return None


def _depth(formula: str) -> int:
    """Return how deep braces and environments are nested; what has no braces may nest too."""
    depth = deepest = 0
    for character in formula:
        depth += (character == "{") - (character == "}")
        deepest = max(deepest, depth)
    return max(deepest, formula.count(r"\left"), formula.count(r"\begin"), _scripts(formula))


def _scripts(formula: str) -> int:
    """Return the longest run of scripts without braces, such as x^^^^."""
    return max((len(run) for run in re.findall(r"[\^_]{2,}", formula)), default=0)


def _checked(element: ElementTree.Element) -> Tree:
    name = element.tag.removeprefix("{http://www.w3.org/1998/Math/MathML}")
    if name not in _ELEMENTS:
        raise _Refused(name)
    attributes = {
        key: value
        for key, value in element.attrib.items()
        if key in _ATTRIBUTES and _VALUE.fullmatch(value)
    }
    if any((child.tail or "").strip() for child in element):
        raise _Refused("text between elements")
    return name, attributes, element.text or "", [_checked(child) for child in element]
