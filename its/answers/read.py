"""From model text to an `Answer`, or `None`: what cannot be read abstains, nothing is guessed."""

import re
from typing import Literal, TypeAlias

from ..types import Answer

Kind: TypeAlias = Literal["math"]

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_STATED = re.compile(r"final answer\**(?:\s+is|\s*:)\s*:?\**[ \t]*([^\n]+)", re.IGNORECASE)
_END_OF_THINKING = "</think>"
_INTEGER = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d{1,400})(?:\.0*)?")
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"))


def read(
    text: str,
    *,
    kind: Kind = "math",
    finish_reason: str | None = None,
    thinking: bool | None = None,
) -> Answer | None:
    """Return the final answer that `text` states, or `None`.

    The last balanced box after the end of thinking counts, else the last "final answer is ...".
    `thinking` says that the chat template opens `<think>` itself, so that text before `</think>`
    is no answer. Text cut at `finish_reason="length"` states an answer only in a box.
    """
    said = _after_thinking(text, bool(thinking))
    boxed = _last_box(said)
    if boxed is not None:
        return parse(boxed)
    stated = _STATED.findall(said) if finish_reason != "length" else []
    return parse(stated[-1]) if stated else None


def normalise(text: str) -> str:
    """Return `text` without what does not change an answer: spaces, delimiters, a final period."""
    text = text.strip()
    while (bare := _unwrap(text.rstrip(" .").strip())) != text:
        text = bare
    text = text.removeprefix(r"\$").replace(r"\!", "").replace(r"\,", "").replace("{,}", ",")
    return re.sub(r"\s+", "", text)


def parse(raw: str) -> Answer | None:
    """Return the answer that `raw` is, without looking for it in a text; `None` if it is empty."""
    text = normalise(raw)
    if not text:
        return None
    integer = _INTEGER.fullmatch(text)
    if not integer:
        return Answer(text)
    value = int(integer[1] + integer[2].replace(",", ""))
    return Answer(str(value), value)


def _after_thinking(text: str, opened: bool) -> str:
    _, end, tail = text.rpartition(_END_OF_THINKING)
    if end:
        return tail
    return "" if opened or text.lstrip().startswith("<think>") else text


def _last_box(text: str) -> str | None:
    for match in reversed(list(_BOX.finditer(text))):
        inside = _balanced(text, match.end())
        if inside is not None:
            return inside
    return None


def _balanced(text: str, start: int) -> str | None:
    depth = 1
    for brace in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)  # an escaped brace is a character
        if depth == 0:
            return text[start : brace.start()]
    return None


def _unwrap(text: str) -> str:
    for left, right in _WRAPPERS:
        if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
            return text[len(left) : -len(right)].strip()
    return text
