"""Which letter of a multiple choice a text chooses."""

import re
import unicodedata
from collections.abc import Mapping

from ..equality.numbers import Number, number
from .prose import is_prose
from .tidy import tidy

_DIRECT = re.compile(
    r"\b(?i:answer(?:\s+is)?|ans)[\s:=*$_]*(?:(?i:option|choice)\s*)?(?:\\[a-z]+\{)*[(\[]?([A-J])\b(?!')"
)
_SAID = re.compile(
    r"(?:\b(?i:must be|should be|have to be|choose|chose|pick|select|go with"
    r"|(?:option|choice|answer) is(?: therefore)?))"
    r"[\s:*$]*(?:(?i:option|choice)\s*)?(?:\\[a-z]+\{)*[(\[]?([A-J])\b(?!['’])"
    r"|\b(?i:option|choice|answer)\s*[(\[]?([A-J])[)\]]?\s+(?i:is)\s+(?:the\s+)?"
    r"(?i:correct|right|true|best)"
    r"|[(\[]([A-J])[)\]]\s+(?i:is)\s+(?:the\s+)?(?i:correct|right|best)"
    r"|\b(?i:leaves|leaving)(?: only| us with)?\s+[(\[]?([A-J])[)\]]?(?=[.!\s]*$)"
)
_ALONE = re.compile(
    r"(?:^|[.;,:]\s+|\b(?i:so|thus|hence|therefore|it's|it is|that)\s+)[(\[]?([A-J])[)\]]?\s+"
    r"(?i:is)\s+(?:the\s+)?(?i:correct|right|true|best)"
    r"|\b(?i:so|thus|hence|therefore|it's|it is|leaves|leaving|is|be),?\s+(?:(?:it's|it is)\s+)?"
    r"\**[(\[]?([A-J])[)\]]?\**[.!\s]*$"
    r"|:\s+\**[(\[]?([A-J])[)\]]?\**[.!\s]*$"
)
"""A letter without "option" before it, at the end or said to be right."""
_NAMED = re.compile(
    r"\b(?i:option|choice)\s*(?:is)?:?\s*[(\[]?([A-J])[)\]]?(?![A-Za-z'])|\(([A-J])\)"
)
_BARE = re.compile(
    r"\W*([A-J])\W*|\W*([A-J])[).:]\s.*|\W*(?:option|choice)?\W*([a-j])\W*", re.DOTALL | re.ASCII
)
LONGEST_OPTION = 200
_DENIED = re.compile(
    r"^[\s*$)}\]]*(?:\\?\)|\$)?\s*(?:[^.;,\n]{0,30}\s)?(?:is|are|would be|was)?\s*"
    r"(?:n't|not|wrong|incorrect|false|too|impossible|ruled out|eliminated|excluded)\b",
    re.IGNORECASE,
)


def said_letter(text: str) -> str | None:
    """Return the letter that a text says is right, in so many words."""
    found = [match for match in _SAID.finditer(text) if not _denied(match, text)]
    return _letter(found[-1]) if found else None


def letter(text: str, options: Mapping[str, str]) -> str | None:
    """Return the letter that is said to be the answer; else the option whose text is said, or the
    last letter that is named and not denied."""
    for pattern in (_DIRECT, _SAID, _ALONE):
        if found := [match for match in pattern.finditer(text) if not _denied(match, text)]:
            return _letter(found[-1])
    bare = _BARE.fullmatch(text.strip())
    if bare:
        return _letter(bare).upper()
    if by_text := of_text(text, options):
        return by_text
    found = [match for match in _NAMED.finditer(text) if not _denied(match, text)]
    return _letter(found[-1]) if found else None


def of_text(text: str, options: Mapping[str, str]) -> str | None:
    """Return the letter of the one option whose text is `text`, or alone is in its last line."""
    plain, value = _plain(text), _value(text)
    same = [letter for letter, option in options.items() if _plain(option) == plain]
    if not same and value is not None:
        same = [letter for letter, option in options.items() if _value(option) == value]
    if same:
        return same[0] if len(same) == 1 else None
    last = _plain(text.strip().splitlines()[-1]) if text.strip() else ""
    named = [
        letter
        for letter, option in options.items()
        if _plain(option) and re.search(rf"(?<!\w){re.escape(_plain(option))}(?!\w)", last)
    ]
    longest = [
        n for n in named if not any(_inside(options[n], options[m]) for m in named if m != n)
    ]
    return longest[0] if len(longest) == 1 else None


def _value(text: str) -> Number | str | None:
    """Return the number or the formula that a short text is, in one spelling."""
    if len(text) > LONGEST_OPTION or is_prose(text):
        return None
    bare = tidy(text)
    found = number(bare)
    return bare if found is None else Number(found.value, found.percent)


def _inside(short: str, long: str) -> bool:
    return _plain(short) in _plain(long)


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFC", text).casefold().replace("**", "")
    return " ".join(text.strip().strip(".!?\"'`$*_").split())


def _letter(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group)


def _denied(match: re.Match[str], text: str) -> bool:
    before = text[max(0, match.start() - 12) : match.start()]
    if re.search(r"\b(?:not|isn't|can't|cannot|won't|neither|nor)\s*$", before, re.IGNORECASE):
        return True
    return bool(_DENIED.match(text[match.end() : match.end() + 60]))
