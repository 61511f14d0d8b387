"""What is not put together of parts: words, choices, times of day, numbers of a base, residues."""

import re

from .numbers import Number, number
from .shapes import Based, Clock, Words
from .units import SHORT_NOUNS
from .words import in_words

_LETTER = re.compile(r"[(\[]?\s*([A-Za-z])\s*[)\].:]?")
_WORDS = re.compile(r"[^\W\d_](?:[^\W\d_]|['\-])*(?:[\s,.]+(?:[^\W_]|['\-])+)*\.?")
_CHOICE = re.compile(
    r"(?:(?i:option|choice|answer)\s*:?\s*)?\(?([A-J])"
    r"(?:\)|:(?=\s)|\s+[-\u2013\u2014](?=\s+[A-Za-z]{3}))\s*[^\s,;].*",
    re.DOTALL,
)
_LATER_CHOICE = re.compile(r"\(?([A-J])[).:]\s*\S.*", re.DOTALL)
_NAMED_CHOICE = re.compile(
    r"(?i:the )?(?i:answer|option|choice)(?i:\s+is)?\s*[:=]?\s*[(\[]?\s*([A-J])\s*[)\].]?"
)
_NO_SOLUTION = re.compile(
    r"(?:there (?:is|are|exists?) )?(?:no (?:real |such |integer |valid |possible )*"
    r"(?:solutions?|values?|numbers?|roots?|answers?|integers?)(?: exists?)?|none"
    r"|(?:the )?empty set|(?:does|do) not exist|dne|(?:it is )?(?:impossible|not possible)"
    r"|no such \w+(?: exists?)?)",
    re.IGNORECASE,
)
_UNLIMITED = re.compile(
    r"(?:there are )?infinitely many(?: (?:real )?(?:solutions?|values?|pairs?))?|infinite",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"\b(?:the|a|an)\s+")
_SHORT_WORDS = frozenset(
    (
        *(
            "god",
            "act",
            "tea",
            "eat",
            "ate",
            "sun",
            "sea",
            "air",
            "ice",
            "oil",
            "art",
            "war",
            "law",
        ),
        *(
            "red",
            "tan",
            "gas",
            "tin",
            "one",
            "two",
            "ten",
            "six",
            "low",
            "own",
            "won",
            "now",
            "any",
        ),
        *(
            "all",
            "odd",
            "yes",
            "not",
            "out",
            "top",
            "pot",
            "tap",
            "apt",
            "tip",
            "pit",
            "ear",
            "era",
        ),
    )
)
"""Words that are no product of three letters: `god` is not `dog`."""
_CLOCK_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*([ap])\.?\s?m\.?", re.IGNORECASE)

_BASED = re.compile(r"\(?\s*([0-9A-Za-z]+)\s*\)?\s*_\s*\{?\s*\(?\s*(\d{1,2}|[a-z]+)\s*\)?\s*\}?")
_LITERAL = re.compile(r"0([xXbBoO])([0-9A-Fa-f]+)")
_NTH = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_YES_OR_NO = re.compile(r"(yes|no)\b\s*[,.;:!\-]+\s*\S.*", re.IGNORECASE | re.DOTALL)


def choice(text: str) -> Words | None:
    """Return the letter of a whole text like `B) 5` or `E - none of the above`."""
    found = _CHOICE.fullmatch(text) or _NAMED_CHOICE.fullmatch(text)
    return Words(found[1].casefold()) if found else None


def literal(text: str) -> Number | None:
    """Return a number as programs write it: `0xFF`."""
    match = _LITERAL.fullmatch(text)
    if not match:
        return None
    try:
        return number(str(int(match[2], {"x": 16, "b": 2, "o": 8}[match[1].lower()])))
    except ValueError:
        return None


def spoken(text: str) -> Number | None:
    """Return a number in words, `fifty %` included."""
    percent = text.endswith("%")
    value = in_words(text.removesuffix("%"))
    return None if value is None else Number(value, percent)


def clock(text: str) -> Clock | None:
    match = _CLOCK_TIME.fullmatch(text)
    if not match or not 1 <= int(match[1]) <= 12:
        return None
    hour = int(match[1]) % 12 + (12 if match[4].lower() == "p" else 0)
    return Clock(3600 * hour + 60 * int(match[2] or 0) + int(match[3] or 0))


def based(text: str) -> Based | None:
    """Return a number of a base; `x_2` and `AB_3` are names."""
    match = _BASED.fullmatch(text)
    if not match:
        return None
    digits, written = match[1], match[2]
    value = in_words(written) if written.isalpha() else None
    base = int(value) if value is not None else int(written) if written.isdecimal() else 0
    letters = not digits.isdecimal()
    if not 2 <= base <= 36 or (letters and base <= 10):
        return None
    if letters and (len(digits) < 2 or any(int(char, 36) >= base for char in digits)):
        return None
    return Based(digits.upper().lstrip("0") or "0", base)


def words(text: str) -> Words | None:
    """Return plain words, a letter, or that there is no solution."""
    if letter := _LETTER.fullmatch(text):
        return Words(letter[1].casefold())
    if later := _LATER_CHOICE.fullmatch(text):
        return Words(later[1].casefold())
    if text == r"\emptyset" or _NO_SOLUTION.fullmatch(text):
        return Words("no solution")
    if short := _YES_OR_NO.fullmatch(text):
        return Words(short[1].casefold())
    if _UNLIMITED.fullmatch(text):
        return Words("infinitely many")
    text = _NTH.sub("", text)
    known = text in SHORT_NOUNS or text in _SHORT_WORDS
    if is_words(text) and (known or len(text) > 3 or " " in text or text.istitle()):
        plain = " ".join(re.findall(r"(?:[^\W_]|')+", text.casefold()))
        return Words(_ARTICLE.sub("", plain))
    return None


def is_words(text: str) -> bool:
    return _WORDS.fullmatch(text) is not None
