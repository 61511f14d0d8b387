"""Two spellings of one number: thousands that are grouped, decimals behind a comma."""

import re

_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d|,\d)")

_SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d,])")

_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)((?:\s*[A-Za-z%][A-Za-z^/{}\d .]*)?)")


def grouped(text: str) -> str:
    """Return `text` with the thousands of its numbers joined: `1,234` and `1 234` are 1234."""
    text = _GROUPED.sub(lambda m: m[0].replace(",", ""), text)
    return _SPACED.sub(lambda m: m[0].replace(" ", ""), text)


def with_decimal_points(text: str) -> str:
    """Return a number whose decimals stand behind a comma with a point: `1,22` is 1.22."""
    match = _DECIMAL_COMMA.fullmatch(text)
    return f"{match[1]}.{match[2]}{match[3]}" if match else text
