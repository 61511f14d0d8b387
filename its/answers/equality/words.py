"""Numbers in words: `twenty-five`, `one hundred`, `two thirds`, `5 million`, `2 dozen`, `4th`."""

import re
from fractions import Fraction

LONGEST = 120

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {word: n for n, word in enumerate(_ONES)} | {
    word: 10 * n for n, word in enumerate(_TENS, 2)
}
_MULTIPLES = {"dozen": 12, "dozens": 12, "hundred": 100, "hundreds": 100}
_SCALES = {
    **{"thousand": 3, "million": 6, "mil": 6, "billion": 9, "bn": 9, "trillion": 12},
    **{"thousands": 3, "millions": 6, "billions": 9, "trillions": 12},
}
_PARTS = {
    **{"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6},
    **{"seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100},
}
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth"),
)
_DIGITS = dict(zip("零一二三四五六七八九十", range(11), strict=True))
_NTH = re.compile(r"(\d+)(?:st|nd|rd|th)")
_FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?")

NUMBER_WORDS = frozenset(
    {*_SMALL, *_MULTIPLES, *_SCALES, *_PARTS, *_ORDINALS, *(f"{part}s" for part in _PARTS)}
)


def in_words(text: str) -> Fraction | None:
    """Return the number that `text` writes in words, wholly or with its scale; else `None`."""
    text = text.strip().casefold()
    if not text or len(text) > LONGEST:
        return None
    if text in _DIGITS:
        return Fraction(_DIGITS[text])
    if text in _ORDINALS:
        return Fraction(_ORDINALS.index(text) + 1)
    if nth := _NTH.fullmatch(text):
        return Fraction(int(nth[1]))
    sign = -1 if text.startswith(("minus ", "negative ", "-")) else 1
    words = re.sub(r"^(?:minus |negative |-)\s*", "", text).replace("-", " ").split()
    value = _sum(words)
    return None if value is None else sign * value


def _sum(words: list[str]) -> Fraction | None:
    """Return the value of the words: a whole part, and a fraction behind it or alone."""
    if words and (below := _part(words[-1])):
        before = words[:-1]
        if before and before[-1] in ("a", "an", "one") and before[:-1]:  # two and a half
            whole = _whole(before[:-2]) if before[-2:-1] == ["and"] else None
            return None if whole is None else whole + Fraction(1, below)
        times = _whole([word for word in before if word not in ("a", "an")]) if before else 1
        if before in (["a"], ["an"]):
            times = 1
        plain = words[-1] in ("half", "quarter") or bool(before)
        return None if times is None or not plain else Fraction(times) / below
    return _whole(words)


def _part(word: str) -> int | None:
    return _PARTS.get(word) or _PARTS.get(word.removesuffix("s"))


def _whole(words: list[str]) -> Fraction | None:
    if not words or words[0] == "and" or words == ["a"]:
        return None
    total, current, named = Fraction(0), Fraction(0), False
    for position, word in enumerate(words):
        if word == "and" or (word == "a" and position == 0):
            continue
        value = _SMALL.get(word)
        if value is not None:
            if not _fits(current, value, named):
                return None
            current += value
        elif _FIGURE.fullmatch(word) and not named:
            current = Fraction(word.replace(",", ""))
        elif word in _MULTIPLES:
            current = (current if named else Fraction(1)) * _MULTIPLES[word]
        elif word in _SCALES:
            total += (current if named else Fraction(1)) * 10 ** _SCALES[word]
            current = Fraction(0)
        else:
            return None
        named = True
    only_figure = len(words) == 1 and _FIGURE.fullmatch(words[0])
    return None if not named or only_figure else total + current


def _fits(current: Fraction, value: int, named: bool) -> bool:
    """Tell whether a small number may follow: `twenty five` and `hundred two`, not `five two`."""
    rest = current % 100
    return not named or rest == 0 or (rest % 10 == 0 and rest >= 20 and 0 < value < 10)
