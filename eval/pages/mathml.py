"""LaTeX as MathML, which browsers show without a script. What models write is hostile input."""

import html
import re
from functools import lru_cache
from xml.etree.ElementTree import Element

from latex2mathml.converter import Converter

MOST = 2_000
"""Characters of a formula that is converted: the time grows faster than the length."""

_MACROS = re.compile(r"\\(?:(?:re)?new|provide)command|\\[egx]?def\b|\\let\b|\\newenvironment")
"""Definitions: a formula that defines commands by one another grows without bound."""

_TAGS = {
    "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub",
    "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none",
    "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom", "menclose", "merror",
}  # fmt: skip
_ATTRIBUTES = {
    "display", "mathvariant", "stretchy", "fence", "form", "separator", "accent", "accentunder",
    "displaystyle", "scriptlevel", "movablelimits", "largeop", "symmetric", "linethickness",
    "columnalign", "rowlines", "columnlines", "notation", "linebreak",
}  # fmt: skip
"""No `href`, `class`, `style` or `id`: they would reach out of the formula. No sizes or colours."""

_PLAIN_VALUE = re.compile(r"[\w .%-]{1,40}")
_WIDTH = re.compile(r"-?[0-2]?(?:\.\d+)?em")


@lru_cache(maxsize=20_000)
def mathml(latex: str, *, block: bool = False) -> str | None:
    """Return a formula as a `<math>` element; `None` if it cannot be read, or not safely.

    The library's own `convert` unescapes what it serialises, so that `\\text{<script>}` would be a
    script. Here its tree is written by us: known elements and attributes only, all text escaped.
    """
    if len(latex) > MOST or _MACROS.search(latex):
        return None
    try:
        tree = Converter(display="block" if block else "inline").convert_to_element(latex)
        return _annotated(_written(tree), latex)
    except Exception:  # the library raises what it likes, RecursionError too, on what models write
        return None


def _annotated(found: str, latex: str) -> str:
    """Keep the LaTeX inside the formula, unseen: it can be searched for, and copied."""
    start = found.index(">") + 1
    note = (
        f'<annotation encoding="application/x-tex">{html.escape(latex, quote=False)}</annotation>'
    )
    return f"{found[:start]}<semantics>{found[start : -len('</math>')]}{note}</semantics></math>"


def _written(element: Element) -> str:
    """Return an element and what it holds. An unknown element is left out, not its content.

    Raises:
        RecursionError: it is nested too deep, for a browser as well.
    """
    inside = html.escape(html.unescape(element.text or ""), quote=False)
    inside += "".join(
        _written(child) + html.escape(html.unescape(child.tail or ""), quote=False)
        for child in element
    )
    tag = element.tag
    if tag not in _TAGS:
        return inside
    given = "".join(f' {name}="{value}"' for name, value in element.items() if _may(name, value))
    return f"<{tag}{given}>{inside}</{tag}>"


def _may(name: str, value: str) -> bool:
    if name == "width":
        return _WIDTH.fullmatch(value) is not None
    return name in _ATTRIBUTES and _PLAIN_VALUE.fullmatch(value) is not None
