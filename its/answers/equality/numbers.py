"""Numbers, exactly: integers, decimals, fractions, mixed numbers, powers of ten, percentages."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction

LONGEST = 400
"""Digits that are read as a number; more is no answer that anybody computed."""

_SIGN = r"([+-]?)\s*"
_PLAIN = r"(\d+(?:,\d{3})*(?:\.\d*)?|\.\d+)"
_DECIMAL = re.compile(rf"{_SIGN}{_PLAIN}")
_SLASH = re.compile(rf"{_SIGN}\(?\s*{_PLAIN}\s*\)?\s*/\s*\(?\s*{_PLAIN}\s*\)?")
_LATEX = re.compile(rf"{_SIGN}\\frac\{{\s*([+-]?)\s*{_PLAIN}\s*\}}\{{\s*([+-]?)\s*{_PLAIN}\s*\}}")
_MIXED = re.compile(
    rf"{_SIGN}(\d+)\s*(?:\\frac\{{\s*(\d+)\s*\}}\{{\s*(\d+)\s*\}}|(?<=\s)(\d+)\s*/\s*(\d+))"
)
_REPEATING = re.compile(rf"{_SIGN}(\d*)\.(\d*)\\overline\{{\s*(\d+)\s*\}}")
_SCIENTIFIC = re.compile(
    rf"{_SIGN}{_PLAIN}\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*(?:\{{\s*([+-]?\d{{1,3}})\s*\}}|(\d))"
)
_COMPUTER = re.compile(rf"{_SIGN}{_PLAIN}[eE]([+-]?\d{{1,3}})")


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value. `places` counts decimals where it was written with a point, else `None`."""

    value: Fraction
    percent: bool = False
    places: int | None = None


def number(text: str) -> Number | None:
    """Return the number that the tidy `text` is, or `None`."""
    text = text.strip()
    if len(text) > LONGEST:
        return None
    percent = text.endswith("%")
    bare = _without_parentheses(text.removesuffix("%").strip())
    for read in (_decimal, _fraction, _mixed, _repeating, _power_of_ten):
        found = read(bare)
        if found is not None:
            return Number(found.value, percent, found.places)
    return None


def _without_parentheses(text: str) -> str:
    while text[:1] in "({" and text[-1:] in ")}" and len(text) > 2:
        inside = text[1:-1].strip()
        if any(bracket in inside for bracket in "(){}"):
            break
        text = inside
    return text


def _decimal(text: str) -> Number | None:
    match = _DECIMAL.fullmatch(text)
    return match and _signed(match[1], _value(match[2]))


def _fraction(text: str) -> Number | None:
    if match := _SLASH.fullmatch(text):
        sign, above, below = match[1], _value(match[2]), _value(match[3])
    elif match := _LATEX.fullmatch(text):
        minus = [match[group] == "-" for group in (1, 2, 4)].count(True) % 2
        sign, above, below = "-" if minus else "", _value(match[3]), _value(match[5])
    else:
        return None
    if not below.value:
        return None
    return _signed(sign, Number(above.value / below.value))


def _mixed(text: str) -> Number | None:
    match = _MIXED.fullmatch(text)
    if not match:
        return None
    whole, above, below = int(match[2]), int(match[3] or match[5]), int(match[4] or match[6])
    if not 0 < above < below:
        return None  # 3\frac{5}{2} is a product
    return _signed(match[1], Number(whole + Fraction(above, below)))


def _repeating(text: str) -> Number | None:
    match = _REPEATING.fullmatch(text)
    if not match:
        return None
    fixed, period = match[3], match[4]
    tail = Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
    return _signed(match[1], Number(Fraction(f"0{match[2]}.{fixed}0") + tail))


def _power_of_ten(text: str) -> Number | None:
    if match := _SCIENTIFIC.fullmatch(text):
        power = int(match[3] or match[4])
    elif match := _COMPUTER.fullmatch(text):
        power = int(match[3])
    else:
        return None
    return _signed(match[1], Number(_value(match[2]).value * Fraction(10) ** power))


def _value(digits: str) -> Number:
    digits = digits.replace(",", "")
    _, point, decimals = digits.partition(".")
    return Number(Fraction(f"0{digits}"), places=len(decimals) if point else None)


def _signed(sign: str, found: Number) -> Number:
    return Number(-found.value, found.percent, found.places) if sign == "-" else found


def same_number(a: Number, b: Number) -> bool:
    """Tell whether two numbers are equal: exactly, as a percentage, or rounded to what is written.

    A percent sign may be left away (the question asked for a percentage) or worked out (20% and
    0.2). A decimal of four places or more equals what rounds to it.
    """
    if a.value == b.value:
        return True
    if a.percent != b.percent:
        share, other = (a, b) if a.percent else (b, a)
        if share.places is not None and share.places >= ROUNDED_PLACES:
            share = Number(share.value, places=share.places + 2)
            return _rounds(replace(share, value=share.value / 100), other)
        return share.value / 100 == other.value
    return _rounds(a, b) or _rounds(b, a)


ROUNDED_PLACES = 4


def _rounds(written: Number, exact: Number) -> bool:
    """Tell whether `written` is `exact` with all its decimals, the last one rounded or cut."""
    places = written.places or 0
    if places < ROUNDED_PLACES or (exact.places is not None and exact.places <= places):
        return False
    return abs(written.value - exact.value) < Fraction(1, 10**places)
