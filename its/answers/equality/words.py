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
ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth"),
)
_DIGITS = dict(zip("零一二三四五六七八九十", range(11), strict=True))
_NTH = re.compile(r"(\d+)(?:st|nd|rd|th)")
_FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?")

NUMBER_WORDS = frozenset(
    {*_SMALL, *_MULTIPLES, *_SCALES, *_PARTS, *ORDINALS, *(f"{part}s" for part in _PARTS)}
)


def in_words(text: str) -> Fraction | None:
    """Return the number that `text` writes in words, wholly or with its scale; else `None`."""
    text = text.strip().casefold()
    if not text or len(text) > LONGEST:
        return None
    if text in _DIGITS:
        return Fraction(_DIGITS[text])
    if text in ORDINALS:
        return Fraction(ORDINALS.index(text) + 1)
    if nth := _NTH.fullmatch(text):
        return Fraction(int(nth[1]))
    sign = -1 if text.startswith(("minus ", "negative ", "-")) else 1
    words = re.sub(r"^(?:minus |negative |-)\s*", "", text).replace("-", " ").split()
    value = _sum(words)
    return None if value is None else sign * value


def _sum(words: list[str]) -> Fraction | None:
    """Return the value of the words: a whole part, and a fraction behind it or alone."""
    if words[:1] == ["half"] and words[1:2] in (["a"], ["an"]) and len(words) == 3:
        of = _whole(words[2:])  # half a dozen
        return None if of is None or words[2] in _SMALL else of / 2
    if words and (below := _part(words[-1])):
        before = words[:-1]
        if "and" in before[1:-1] and words[-1] not in ("hundredth", "hundredths"):
            cut = len(before) - 1 - before[::-1].index("and")  # two and a half
            whole, above = _whole(before[:cut]), _whole(_counted(before[cut + 1 :]))
            if whole is None or above is None or not 0 < above < below:
                return None
            return whole + above / below
        if before[1:] and before[-1] in ("a", "an", "one"):
            return None
        times = _whole([word for word in before if word not in ("a", "an")]) if before else 1
        if before in (["a"], ["an"]):
            times = 1
        plain = words[-1] in ("half", "quarter") or bool(before)
        return None if times is None or not plain else Fraction(times) / below
    return _whole(words)


def _counted(words: list[str]) -> list[str]:
    return ["one"] if words in (["a"], ["an"]) else words


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
