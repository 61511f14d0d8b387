"""What stands outside all brackets, and whether they match."""

import re
from collections.abc import Iterable, Iterator

OPENING, CLOSING = "([{", ")]}"


def with_round_ends(text: str) -> str:
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
        level += 1 if char in OPENING else -1
        if level < 0:
            return False
    return level == 0


def _brackets(text: str) -> Iterator[tuple[str, int]]:
    for index, char in enumerate(text):
        if char in OPENING or char in CLOSING:
            yield char, index


def split(text: str, separators: str) -> list[str]:
    """Return the parts of `text` between those separators that stand outside all brackets."""
    parts, level, start = [], 0, 0
    for index, char in enumerate(text):
        if char in OPENING:
            level += 1
        elif char in CLOSING:
            level -= 1
        elif level == 0 and char in separators:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def at_top(text: str, matches: Iterable[re.Match[str]]) -> list[re.Match[str]]:
    """Return those of `matches` that begin outside all brackets."""
    level, levels = 0, []
    for char in text:
        levels.append(level)
        level += (char in OPENING) - (char in CLOSING)
    return [match for match in matches if levels[match.start()] == 0]
