"""What the last box of a text holds."""

import re

from .braces import closing_brace

LONGEST_BOX = 4_000
MOST_BOXES = 20
MOST_NOUNS = 2
"""Words between two boxes of one answer: `\\boxed{1} papers and \\boxed{2} bins`."""

# Without braces a box holds a number or one letter: `\boxed so` is a slip.
_BOX = re.compile(
    r"(?:\\(?:boxed|fbox)\s*|(?<![A-Za-z\\])boxed(?=\{))(\{|[-+]?\d[\d.,/]*%?|[A-Za-z](?![A-Za-z]))"
)
_NEXT_BOX_NEAR, _NEXT_BOX_FAR = 10, 70
_GOES_ON = re.compile(r"^[ \t$]*(?:[-=/]|\*(?!\*)|\+(?!\+))")
_CORRECTS = re.compile(
    r"\b(?:so|thus|hence|then|therefore|but|should|instead|actually|rather|wait|no|not|means?|which"
    r"|giv(?:es?|ing)|again|correct\w*|right|final\w*|real(?:ly)?|total|sum|altogether|because|since"
    r"|check\w*|recheck\w*|mistake|wrong|now|leads?|yields?|after|becomes?)\b",
    re.IGNORECASE,
)
"""Words after which a box replaces the one before it."""
_BESIDE_BOXES = re.compile(
    r"(?:and|or|also|as well as|together with|respectively|the|other|another|one|is|are|for|of|with"
    r"|when|if|case|solutions?|values?|roots?|numbers?|minimum|maximum|smallest|largest|second|quad"
    r"|text|left|right|boxed|answer|either|both|first|third|a|an|in|to|be)\b"
)
_REJECTED = re.compile(r"[,;(\s](?:(?:and )?not|rather than|instead of)[\s$]*$")
_JOINS_BOXES = re.compile(r"\b(?:and|or)\b|[,;]")


def boxed(text: str) -> str | None:
    """Return what the last box holds, with the boxes just before it that belong to it."""
    if "boxed}" in text:
        # No regular expression: many openings without an end would take quadratic time.
        text = text.replace(r"\begin{boxed}", r"\boxed{").replace(r"\end{boxed}", "}")
    boxes = _last_boxes(text)
    if not boxes:
        return None
    while len(boxes) > 1 and _REJECTED.search(text[max(0, boxes[-1][0] - 20) : boxes[-1][0]]):
        boxes.pop()  # "it is \boxed{6}, not \boxed{5}"
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
        start = max(text.rfind("boxed", 0, end), text.rfind(r"\fbox", 0, end))
        if start < 0:
            break
        start -= text[start - 1 : start] == "\\" and text[start] != "\\"
        found = _box_at(text, start)
        if found and boxes and found[1] >= boxes[0][1]:
            boxes[0] = (found[0], found[1], boxes[0][2])  # a box around a box
        elif found:
            boxes.insert(0, found)
        end = start
    return boxes


def _box_at(text: str, start: int) -> tuple[int, int, str] | None:
    match = _BOX.match(text, start)
    if not match:
        return None
    if match[1] != "{":
        return start, match.end(), match[1].rstrip(".,")
    close = closing_brace(text[: match.end() + LONGEST_BOX], match.end())
    if close is None or not text[match.end() : close].strip():
        return None
    return start, close + 1, text[match.end() : close]


def _belong_together(between: str, earlier: str, later: str) -> bool:
    """Tell whether two boxes are parts of one answer: hardly anything, or "and", stands between."""
    if earlier == later:
        return False
    if _GOES_ON.search(between) or _CORRECTS.search(between):
        return False
    if len(between) < _NEXT_BOX_NEAR:
        return not re.search(r"\.|(?!and|quad|text)[a-z]{3}", between)
    if len(between) > _NEXT_BOX_FAR or re.search(r"\.\s|\n\s*\n|[?!]", between):
        return False
    if not _JOINS_BOXES.search(between):
        return False
    words = [w for w in re.findall(r"[A-Za-z]{2,}", between) if not _BESIDE_BOXES.fullmatch(w)]
    return not words or (len(words) <= MOST_NOUNS and bool(re.search(r"\b(?:and|or)\b", between)))
