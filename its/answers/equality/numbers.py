"""Numbers, exactly: integers, decimals, fractions, mixed numbers, powers of ten, percentages."""

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction

LONGEST = 400
"""Digits that are read as a number; more is no answer that anybody computed."""

_SIGN = r"([+-]?)\s*"
_PLAIN = r"(\d+(?:\.\d*)?|\.\d+)"
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
_POWER = re.compile(r"(\d{1,9})\s*\^\s*(?:\{\s*(-?\d{1,4})\s*\}|(\d))")
_DIVISORS = re.compile(r"\\?(gcd|lcm)\s*\(([\d,\s]+)\)")
_COMPUTER = re.compile(rf"{_SIGN}{_PLAIN}[eE]([+-]?\d{{1,3}})")


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value, and how it was written.

    `places` counts decimals where it was written with a point, else `None`; of `2.31e-3` it is 5.
    `digits` counts the digits from the first that is not 0.
    """

    value: Fraction
    percent: bool = False
    places: int | None = None
    digits: int = 0
    scientific: bool = False


def number(text: str) -> Number | None:
    """Return the number that the tidy `text` is, or `None`."""
    text = text.strip()
    if len(text) > LONGEST:
        return None
    percent = text.endswith("%")
    bare = _without_parentheses(text.removesuffix("%").strip())
    for read in (_decimal, _fraction, _mixed, _repeating, _power_of_ten, _power, _divisor):
        found = read(bare)
        if found is not None:
            return replace(found, percent=percent)
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
    mantissa = _value(match[2])
    places = None if mantissa.places is None else mantissa.places - power
    value = mantissa.value * Fraction(10) ** power
    return _signed(match[1], Number(value, places=places, digits=mantissa.digits, scientific=True))


def _power(text: str) -> Number | None:
    """Return a power of whole numbers, if it can be written out."""
    match = _POWER.fullmatch(text)
    if not match:
        return None
    base, exponent = int(match[1]), int(match[2] or match[3])
    if abs(exponent) * base.bit_length() > 3 * LONGEST or (not base and exponent <= 0):
        return None
    return Number(Fraction(base) ** exponent)


def _divisor(text: str) -> Number | None:
    match = _DIVISORS.fullmatch(text)
    terms = [int(term) for term in match[2].split(",") if term.strip()] if match else []
    if not match or len(terms) < 2:
        return None
    return Number(Fraction({"gcd": math.gcd, "lcm": math.lcm}[match[1]](*terms)))


def _value(digits: str) -> Number:
    _, point, decimals = digits.partition(".")
    significant = len(digits.replace(".", "").lstrip("0"))
    return Number(Fraction(f"0{digits}"), False, len(decimals) if point else None, significant)


def _signed(sign: str, found: Number) -> Number:
    return replace(found, value=-found.value) if sign == "-" else found


def same_number(a: Number, b: Number) -> bool:
    """Tell whether two numbers are equal: exactly, as a percentage, or rounded to what is written.

    A percent sign may be left away (the question asked for a percentage) or worked out (20% and
    0.2). A decimal equals what rounds to it, or what is cut to it: see `rounds`.
    """
    if a.value == b.value:
        return True
    if a.percent != b.percent:
        share, other = (a, b) if a.percent else (b, a)
        places = None if share.places is None else share.places + 2
        as_decimal = replace(share, value=share.value / 100, percent=False, places=places)
        long_enough = share.places is not None and share.places >= ROUNDED_PLACES
        return as_decimal.value == other.value or (long_enough and rounds(as_decimal, other))
    return rounds(a, b) or rounds(b, a)


ROUNDED_PLACES = 4
FEWEST_DIGITS = 3
"""Digits that a rounded decimal needs; 0.0078 with two of them counts if it is rounded, not cut."""


def rounds(written: Number, exact: Number) -> bool:
    """Tell whether `written` is `exact` rounded or cut to the places that are written.

    A decimal needs four places (0.33 is not 1/3, 3.14 is not pi), a power of ten three digits.
    """
    places = written.places
    if places is None or (exact.places is not None and exact.places <= places):
        return False
    if written.digits < FEWEST_DIGITS - 1 or not (written.scientific or places >= ROUNDED_PLACES):
        return False
    one = Fraction(10) ** -places
    if abs(written.value - exact.value) <= one / 2:
        return not written.scientific or written.digits >= FEWEST_DIGITS
    cut = 0 <= abs(exact.value) - abs(written.value) < one
    return cut and written.value * exact.value > 0 and written.digits >= FEWEST_DIGITS
