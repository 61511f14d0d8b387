"""What models wrote, as HTML: escaped, formulas as MathML, and nothing that hides or reorders."""

import html
import re
from collections.abc import Callable, Iterable

from its.answers.reading.thinking import spoken

from .mathml import mathml

_FORMULA = re.compile(
    # Bounded: what never ends would be searched to the end of the text from each of its beginnings.
    r"\[asy\](?P<drawing>.{1,20000}?)\[/asy\]"
    r"|\n?(?P<block>\\\[(?P<a>.{1,2000}?)\\\]|\$\$(?P<b>.{1,2000}?)\$\$"
    r"|(?P<c>\\begin\{(?P<env>align\*?|aligned|equation\*?|gather\*?|[pbvBV]?matrix|cases|array)\}"
    r".{1,2000}?\\end\{(?P=env)\}))\n?"
    r"|\\\((?P<d>.{1,2000}?)\\\)"
    # A dollar that opens stands before no space, one that closes stands after none and before no
    # digit: "$5 and $10" are prices.
    r"|(?<![\\$\w])\$(?![\s$])(?P<e>[^$\n]{0,2000}?[^$\s\\])\$(?![\w$])"
    r"|(?P<f>\\boxed\{[^{}]{0,400}"
    r"(?:\{[^{}]{0,200}(?:\{[^{}]{0,99}\}[^{}]{0,99}){0,20}\}[^{}]{0,200}){0,20}\})",
    re.DOTALL,
)
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Controls, marks that turn the direction of writing, invisible signs, lone surrogates."""

_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
_TEX = re.compile(r"\\[a-zA-Z]|[\^_{}]")


def plain(text: str) -> str:
    """Return text as HTML: what would hide, or turn the direction of writing, is made visible."""
    text = _LINE_ENDS.sub("\n", text)
    return _HIDDEN.sub(_made_visible, html.escape(text))


def visible(text: str) -> str:
    """Return text as text, for attributes and JSON: hidden signs are spelt `[U+202E]`."""
    return _HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", _LINE_ENDS.sub("\n", text))


def rich(text: str) -> str:
    """Return text as HTML with its formulas as MathML; one that cannot be read stays as written."""
    return _joined(text, _FORMULA, lambda found: _formula(found) or _code(found[0]))


def answer(text: str) -> str:
    """Return an answer as HTML: a formula if it looks like LaTeX, which needs no dollars here."""
    found = mathml(text) if _TEX.search(text) else None
    return found or rich(text)


def split(text: str, reasoning: str) -> tuple[str, str]:
    """Return (thinking, what was said after it): `reasoning` is the engine's own field, if any."""
    said = spoken(text, opened=False)
    at = text.rfind(said) if said else len(text)
    thought = text[: max(at, 0)].strip() if said != text else ""
    return "\n\n".join(part for part in (reasoning, thought) if part), text[max(at, 0) :]


def shortened(text: str, most: int) -> tuple[str, int, str]:
    """Return the beginning, the number of characters left out, and the end of a text.

    The end is kept because the answer stands there. A text of at most `most` characters is whole.
    """
    if len(text) <= most:
        return text, 0, ""
    tail = most // 3
    return text[: most - tail], len(text) - most, text[len(text) - tail :]


def longest(lengths: Iterable[int], total: int) -> int | None:
    """Return the characters that each text may have so that all have `total`; `None`: no limit."""
    left, ranked = total, sorted(lengths)
    for number, length in enumerate(ranked):
        if length * (len(ranked) - number) > left:
            return left // (len(ranked) - number)
        left -= length
    return None


def whole_up_to(lengths: Iterable[int], total: int) -> int | None:
    """Return the length up to which texts, the shortest first, have `total` characters together."""
    left = total
    for length in sorted(lengths):
        left -= length
        if left < 0:
            return length - 1
    return None


def _joined(text: str, pattern: re.Pattern[str], made: Callable[[re.Match[str]], str]) -> str:
    out, at = [], 0
    for found in pattern.finditer(text):
        out += [plain(text[at : found.start()]), made(found)]
        at = found.end()
    return "".join([*out, plain(text[at:])])


def _formula(found: re.Match[str]) -> str | None:
    if found["drawing"] is not None:
        drawing = plain(found["drawing"].strip())
        return f'<details class="drawing"><summary>Drawing (Asymptote)</summary>{drawing}</details>'
    block = found["block"] is not None
    latex = next(found[name] for name in "abcdef" if found[name] is not None)
    return mathml(_HIDDEN.sub("", latex).strip(), block=block)


def _code(text: str) -> str:
    return f'<code class="tex">{plain(text)}</code>'


def _made_visible(found: re.Match[str]) -> str:
    return f'<span class="hidden-sign">U+{ord(found[0]):04X}</span>'
