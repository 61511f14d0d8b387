"""What the last box of a text holds."""

import re

from .braces import closing_brace

LONGEST_BOX = 4_000
MOST_BOXES = 20

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{}\\]+)")
_NEXT_BOX_NEAR, _NEXT_BOX_FAR = 10, 70
_GOES_ON = re.compile(r"^[ \t$]*(?:[-=/]|\*(?!\*)|\+(?!\+))|\b(?:so|thus|hence|then)\b")
_JOINS_BOXES = re.compile(r"\b(?:and|or)\b|[,;]")


def boxed(text: str) -> str | None:
    """Return what the last box holds, with the boxes just before it that belong to it."""
    boxes = _last_boxes(text)
    if not boxes:
        return None
    held = [boxes[-1][2]]
    for earlier, later in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        if not _belong_together(text[earlier[1] : later[0]], earlier[2], later[2]):
            break
        if earlier[2] not in held:
            held.insert(0, earlier[2])
    return ", ".join(held)


def _last_boxes(text: str) -> list[tuple[int, int, str]]:
    """Return start, end and content of the last boxes that close, in order."""
    boxes: list[tuple[int, int, str]] = []
    end = len(text)
    for _ in range(MOST_BOXES):
        start = max(text.rfind(r"\boxed", 0, end), text.rfind(r"\fbox", 0, end))
        if start < 0:
            break
        match = _BOX.match(text, start)
        if match and match[1] != "{":
            boxes.insert(0, (start, match.end(), match[1].rstrip("$.")))
        elif match:
            close = closing_brace(text[: match.end() + LONGEST_BOX], match.end())
            if close is not None and text[match.end() : close].strip():
                boxes.insert(0, (start, close + 1, text[match.end() : close]))
        end = start
    return boxes


def _belong_together(between: str, earlier: str, later: str) -> bool:
    """Tell whether two boxes are parts of one answer: hardly anything, or "and", stands between."""
    if earlier == later:
        return False
    if _GOES_ON.search(between):
        return False
    if len(between) < _NEXT_BOX_NEAR:
        return not re.search(r"\.|(?!and|quad|text)[a-z]{3}", between)
    if len(between) > _NEXT_BOX_FAR or re.search(r"\.\s|\n\s*\n|[?!]", between):
        return False
    return bool(_JOINS_BOXES.search(between))
