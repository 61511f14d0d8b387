"""Brackets: where one closes, and whether all do."""

import re


def closing_brace(text: str, start: int, pair: str = "{}") -> int | None:
    """Return the index of the bracket that closes the one opened just before `start`."""
    depth = 1
    for found in re.compile(rf"\\.|[{re.escape(pair)}]", re.DOTALL).finditer(text, start):
        depth += {pair[0]: 1, pair[1]: -1}.get(found[0], 0)  # an escaped brace is a character
        if depth == 0:
            return found.start()
    return None


def mended(text: str) -> str:
    r"""Return `text` without one closing brace too many, or with those that its end lacks.

    Models stop early in `\frac{1}{2`; a regular expression that cuts a box leaves a `}` behind.
    """
    level = lowest = 0
    for found in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        level += {"{": 1, "}": -1}.get(found[0], 0)
        lowest = min(lowest, level)
    if lowest < 0:
        return text[:-1].rstrip() if level == -1 and text.endswith("}") else text
    return text + "}" * level if 0 < level <= 2 else text
