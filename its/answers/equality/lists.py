"""The text of lists: what parts their items, and items that dots stand for."""

import re

from .brackets import at_top, split
from .names import is_name

_AND = re.compile(r"\s*[,;]?\s+(?:and|or)\s+|\s+(?:and|or)(?=[({\\\d-])|(?<=[)}\d])(?:and|or)\s*")
_STEPS_OUT = 100
"""Items of a list with dots that are written out."""


def written_out(items: list[str]) -> list[str]:
    """Write out `1, 2, ..., 10` where two numbers show the step and the last one the end."""
    dots = [n for n, item in enumerate(items) if item in (r"\ldots", "...", "…")]
    if len(dots) != 1 or not 2 <= dots[0] == len(items) - 2:
        return items
    values = [int(item) if re.fullmatch(r"-?\d{1,9}", item) else None for item in items]
    before = [value for value in values[: dots[0]] if value is not None]
    last = values[-1]
    if len(before) != dots[0] or last is None:
        return items
    step = before[1] - before[0]
    if not step or (last - before[0]) % step or not 0 < (last - before[-1]) // step < _STEPS_OUT:
        return items
    full = list(range(before[0], last + (1 if step > 0 else -1), step))
    return [str(value) for value in full] if full[: len(before)] == before else items


def spread_and(text: str) -> str:
    """Return `text` with "and" and "or" as commas, or as semicolons where they part pairs."""

    joints = at_top(text, _AND.finditer(text))
    edges = [0, *(edge for match in joints for edge in match.span()), len(text)]
    parts = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    sizes = {len(split(part, ",")) for part in parts}
    pairs = len(sizes) == 1 and sizes != {1} and len(parts) > 1
    return (";" if pairs else ",").join(parts)


def regrouped(items: list[str]) -> list[str]:
    """Read `x = 1, 2, 3` as the values of x, and `x, y > 0` as it stands."""
    if len(items) > 1 and "=" in items[0] and not any("=" in item for item in items[1:]):
        name, _, first = items[0].rpartition("=")
        if is_name(name):
            return [first, *items[1:]]
    return items
