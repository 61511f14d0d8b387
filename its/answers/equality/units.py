"""Units behind an amount: which are known, what they measure, and how they convert."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from .unit_table import UNITS
from .words import NUMBER_WORDS

_KNOWN = {
    spelling: (dimension, Fraction(factor))
    for dimension, factor, spellings in UNITS.values()
    for spelling in spellings.split()
}
_COMPOUND = {"mph": "mile per hour", "kph": "km per hour", "kmh": "km per hour", "sqft": "ft^2"}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COUNTING = _names(
    "unit way arrangement combination possibility possibilitie method outcome solution time"
    " element term item value integer number choice total permutation configuration point"
)
"""What a bare number counts: 6 ways are 6 arrangements."""

SHORT_NOUNS = _names(
    "men man dog cat cow hen pig egg pen car bag box bus toy hat fox ant bee pie jar can cap cup"
    " kid boy day job bed key map row set win lap nut fan fly ape owl bat rat sum age tie leg arm"
    " eye ear lot pet van cab gum oar zoo pea fig tin tub mug rod net"
)
_NO_NOUNS = NUMBER_WORDS | _names(
    "and or mod pi if for when where is are not than to choose sqrt root plus minus over"
    " divided multiplied squared cubed factorial power theta alpha beta gamma delta lambda mu"
    " sigma omega phi psi rho tau epsilon sin cos tan cot sec csc arcsin arccos arctan sinh cosh"
    " tanh log exp max min gcd lcm floor ceil abs det more less least most fewer below above"
    " between from but with without except modulo base better percent pct also then so because"
    " since which that infinity ldots"
)
_SAYS_NOTHING = _names(
    "of the each more less fewer additional extra old long tall wide high deep away ago left"
)
_ANY_WORD = re.compile(r"[A-Za-z]+")
_UNIT = re.compile(
    r"""(?P<amount>.*(?:\d\.?|[})!]|\\pi|illion|thousand|hundred|dozen))
    (?P<unit>
        \s*\^\s*\{?\s*\\?circ\s*\}?\s*[CFK]?
      | \s*\^\s*\{\s*o\s*\}
      | \s*[A-Za-z]{2,}\.?(?:[\s.^{}\-/*]|[A-Za-z]|\\cdot\ ?|-?[23]|-1)*
      | \s+[A-Za-z](?:\s*\^\s*\{?-?[1234]\}?)?(?:[\s/*.]|\\cdot\ ?|[A-Za-z]|\^\s*\{?-?[1234]\}?)*
      | \s*[A-Za-z]+\s*/\s*[A-Za-z]+(?:\s*\^\s*\{?[23]\}?)?
      | [a-z]\s*\^\s*\{?[23]\}?
      | \s*\\frac\s*\{[A-Za-z\s.^\d{}]+\}\s*\{[A-Za-z\s.^\d{}]+\}
    )\s*""",
    re.VERBOSE | re.DOTALL,
)
_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc|log|ln|exp|arc[a-z]+)(?![a-z])")
_COMMAND = re.compile(r"\\[A-Za-z]+|illion|thousand|hundred|dozen")
_PART = re.compile(r"([A-Za-z]+)\s*(?:\^\s*\{?\s*(-?\d)\s*\}?)?")
_FRACTION = re.compile(r"\\frac\s*\{(.+?)\}\s*\{(.+)\}")


@dataclass(frozen=True, slots=True)
class Unit:
    """What an amount measures: its dimensions with their powers, and the size of one.

    A unit of one unknown noun (apples) has that noun as its dimension.
    """

    dimensions: tuple[tuple[str, int], ...]
    factor: Fraction

    @property
    def counts(self) -> bool:
        """Tell whether it adds nothing to a bare number: `ways`, `units`."""
        return all(name in _COUNTING for name, _ in self.dimensions)

    @property
    def single(self) -> str:
        """The dimension, if it is only one, else an empty string."""
        alone = len(self.dimensions) == 1 and self.dimensions[0][1] == 1
        return self.dimensions[0][0] if alone else ""


_TEMPERATURES = {"degree", "celsius", "fahrenheit", "kelvin"}


def split_unit(text: str) -> tuple[str, Unit] | None:
    """Return the amount and its unit, or `None` if `text` has no unit that is known as one."""
    match = _UNIT.fullmatch(text)
    if not match or _FUNCTION.search(match["amount"]):
        return None
    amount, written = match["amount"].strip(), match["unit"]
    letters = _ANY_WORD.search(_COMMAND.sub("", amount)) is not None
    found = unit(written)
    if found is None:
        return None
    first = _ANY_WORD.search(written.replace(r"\frac", "").replace(r"\circ", ""))
    if first and len(first[0]) == 1 and letters:
        return None  # the h of `\pi r^2 h` stands beside letters: it is a variable
    glued = first is not None and not written[:1].isspace() and written[:1] not in "^\\"
    if glued and first and first[0] in ("A", "K"):
        return None  # 2A is a product, and 5K may be 5000
    if glued and first and (letters or not _known(first[0])) and len(first[0]) < 4:
        return None  # 2xy is a product
    return amount, found


def unit(written: str) -> Unit | None:
    """Return the unit that `written` names, or `None`."""
    text = re.sub(r"\\cdot|\*", " ", written).strip(" .")
    if degrees := re.fullmatch(r"\^\s*\{?\s*(?:\\circ|o)\s*\}?\s*([CFK]?)", text):
        name = {"C": "celsius", "F": "fahrenheit", "K": "kelvin"}.get(degrees[1], "degree")
        return Unit(((name, 1),), Fraction(1))
    if fraction := _FRACTION.fullmatch(text):
        text = f"{fraction[1]}/{fraction[2]}"
    for short, long in _COMPOUND.items():
        text = re.sub(rf"\b{short}\b", long, text)
    text = re.sub(r"\bdegrees?\s+(?=(?:celsius|fahrenheit|kelvin)\b)", "", text, flags=re.I)
    text = re.sub(r"\b(?:sq\.?|square)\s+([A-Za-z]+)", r"\1^2", text)
    text = re.sub(r"\b(?:cu\.?|cubic)\s+([A-Za-z]+)", r"\1^3", text)
    text = re.sub(r"([A-Za-z]+)\s+squared\b", r"\1^2", text)
    text = re.sub(r"([A-Za-z]+)\s+cubed\b", r"\1^3", text)
    parts = re.split(r"\s*/\s*|\s*\bper\b\s*", text)
    if any(_NOT_UNIT.search(part) for part in parts) or not any(parts):
        return None
    powers: dict[str, int] = {}
    factor = Fraction(1)
    for position, part in enumerate(parts):
        found = _product(part)
        if found is None:
            return None
        direction = 1 if position == 0 else -1
        factor *= found.factor**direction
        for name, power in found.dimensions:
            powers[name] = powers.get(name, 0) + direction * power
    return Unit(tuple(sorted((n, p) for n, p in powers.items() if p)), factor)


_NOT_UNIT = re.compile(r"[^A-Za-z\d\s.^{}\-]|(?<![\^{\-])\d")


def _product(part: str) -> Unit | None:
    """Return known units side by side, or a counted noun with its adjectives."""
    names = _PART.findall(part)
    if not names:
        return Unit((), Fraction(1)) if not part.strip() else None
    names = [found for found in names if found[0].casefold() not in _SAYS_NOTHING]
    if names and all(_known(name) for name, _ in names):
        return _known_product(names)
    words = [name for name, _ in names if name.casefold() not in _SAYS_NOTHING]
    powers = [int(power or 1) for _, power in names]
    if len(names) == 1 and _stem(names[0][0]) in _COUNTING:
        return Unit(((_stem(names[0][0]), powers[0]),), Fraction(1))
    if any(power != 1 for power in powers) or not words or not all(map(_is_noun, words)):
        return None
    return Unit(((_stem(words[0 if "of" in part.split() else -1]), 1),), Fraction(1))


def _known_product(names: list[tuple[str, str]]) -> Unit:
    powers: dict[str, int] = {}
    factor = Fraction(1)
    for name, written in names:
        dimension, size = _known(name) or ("", Fraction(1))
        power = int(written or 1)
        factor *= size**power
        if dimension == "volume":  # a litre is a cubic decimetre
            dimension, power, factor = "length", 3 * power, factor / 1000**power
        powers[dimension] = powers.get(dimension, 0) + power
    return Unit(tuple(sorted((n, p) for n, p in powers.items() if p)), factor)


def _known(name: str) -> tuple[str, Fraction] | None:
    if name in _KNOWN or len(name) == 1:
        return _KNOWN.get(name)
    low = name.casefold()
    return (
        _KNOWN.get(name.removesuffix("s")) or _KNOWN.get(low) or _KNOWN.get(low.removesuffix("s"))
    )


def _is_noun(word: str) -> bool:
    """Tell whether `word` can be what is counted, and is no product of letters (`5 abc`)."""
    low = word.casefold()
    if low in _NO_NOUNS or low.removesuffix("s") in NUMBER_WORDS:
        return False
    if len(low) <= 3:
        return low in SHORT_NOUNS
    run = any(low[i : i + 4] in "abcdefghijklmnopqrstuvwxyz" for i in range(len(low) - 3))
    return (
        not run
        and re.search("[aeiouy]", low) is not None
        and re.search("[^aeiou]", low) is not None
    )


def _stem(word: str) -> str:
    low = word.casefold()
    return low.removesuffix("es") if low.endswith(("xes", "ches")) else low.removesuffix("s")


def conflict(a: Unit, b: Unit) -> bool:
    """Tell whether two units measure different things: 10 cm and 10 kg, 5 dollars and 5 euros."""
    if a.dimensions == b.dimensions or a.counts or b.counts:
        return False
    singles = {a.single, b.single}
    return not ("degree" in singles and singles <= _TEMPERATURES)


def in_degrees_and_radians(a: Unit, b: Unit) -> bool:
    return {a.single, b.single} == {"degree", "radian"}


def sizes(a: Unit, b: Unit) -> Mapping[str, Fraction]:
    """Return by what the amounts are to be multiplied before they are compared."""
    if a.dimensions != b.dimensions or a.factor == b.factor:
        return {"a": Fraction(1), "b": Fraction(1)}
    return {"a": a.factor, "b": b.factor}
