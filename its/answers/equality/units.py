"""Units of the usual kinds behind an amount."""

import re

_SAME = {
    "degree": "degree degrees deg ^\\circ",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "km": "km kilometer kilometers kilometre kilometres",
    "m": "m meter meters metre metres",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "kg": "kg kilogram kilograms",
    "g": "g gram grams",
    "mg": "mg milligram milligrams",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "l": "l L liter liters litre litres",
    "ml": "ml mL milliliter milliliters millilitre millilitres",
    "s": "s sec secs second seconds",
    "min": "min mins minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs",
    "dollar": "dollar dollars",
    "cent": "cent cents",
    "mph": "mph",
    "unit": "unit units",
}
_KNOWN = {spelling: unit for unit, spellings in _SAME.items() for spelling in spellings.split()}
_LETTERS = {unit for unit in _KNOWN if len(unit) == 1}
_UNIT = re.compile(
    r"""(?P<amount>.*(?:\d\.?|[})!]|\\pi))
    (?P<unit>
        \s*\^\\circ\s*[CFK]?
      | \s*[A-Za-z]{2,}\.?(?:[\s.^{}\-/*]|[A-Za-z]|\\cdot|[23])*
      | \s+[A-Za-z](?:\s*\^\s*\{?[23]\}?)?(?:\s*/\s*[A-Za-z]+(?:\s*\^\s*\{?[23]\}?)?)?
      | [a-z]\s*\^\s*\{?[23]\}?
    )\s*""",
    re.VERBOSE | re.DOTALL,
)
_NOT_UNITS = re.compile(
    r"\b(?:and|or|mod|pi|sin|cos|tan|log|ln|if|for|when|where|is|are|not|than|to|choose|sqrt)\b"
)
_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")


def split_unit(text: str) -> tuple[str, str]:
    """Return the amount and its unit (in one spelling), or `text` and an empty string."""
    match = _UNIT.fullmatch(text)
    if not match or _NOT_UNITS.search(match["unit"]) or _ANGLE.search(match["amount"]):
        return text, ""
    unit = match["unit"].strip()
    first = re.match(r"[A-Za-z]*", unit)
    name = first[0] if first else ""
    spaced = match["unit"][:1].isspace()
    if name and not spaced and name.rstrip("s") not in _KNOWN and name not in _KNOWN:
        return text, ""  # 2xy is a product
    if len(name) == 1 and name not in _LETTERS:
        return text, ""  # 2 x is a product
    return match["amount"].strip(), canonical(unit)


def canonical(unit: str) -> str:
    """Return a unit in one spelling, as far as it is known."""
    words = re.sub(r"\bsq(?:uare)?\.?\s*([A-Za-z]+)", r"\1^2", unit)
    words = re.sub(r"\bcu(?:bic)?\.?\s*([A-Za-z]+)", r"\1^3", words)
    words = re.sub(r"[{}\s.]+", " ", words).strip()
    words = re.sub(r"\s*\^\s*", "^", words)
    if words.startswith("^\\circ"):
        return "degree"
    return re.sub(r"[A-Za-z]+", lambda m: _KNOWN.get(m[0], m[0].casefold()), words)


def conflict(a: str, b: str) -> bool:
    """Tell whether two units are both known and differ: 10 cm is not 10 m."""
    first, second = a.split("^")[0], b.split("^")[0]
    known = {first, second} <= set(_SAME)
    return known and a != b and "unit" not in {first, second}
