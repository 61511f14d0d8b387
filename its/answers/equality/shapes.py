"""What an answer can be: number, list, set, tuple, interval, matrix, relation, words, ..."""

from dataclasses import dataclass
from typing import TypeAlias

from .numbers import Number
from .units import Unit


@dataclass(frozen=True, slots=True)
class Words:
    """Plain words, a name, or the letter of a choice; case, articles and brackets are gone."""

    text: str


@dataclass(frozen=True, slots=True)
class Expression:
    """An algebraic expression in LaTeX: a matter for the judge."""

    text: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something with a unit."""

    amount: "Shape"
    unit: Unit


@dataclass(frozen=True, slots=True)
class Based:
    """A whole number in a base: `52_8`."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Residue:
    r"""A number up to multiples of another: `5 \pmod 7`."""

    amount: "Shape"
    modulus: "Shape"


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day with its half, `8:34 PM`, in seconds since midnight."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Several answers whose order does not matter: a set, or what commas and "and" join.

    `braced`: it was written as a set, so that it is no tuple.
    """

    items: tuple["Shape", ...]
    braced: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A tuple, or an interval: items between two brackets, each `(`, `)`, `[` or `]`."""

    opening: str
    items: tuple["Shape", ...]
    closing: str


@dataclass(frozen=True, slots=True)
class Union:
    """Sets joined by a cup."""

    parts: tuple["Shape", ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix by its cells, and as it was written."""

    rows: tuple[tuple["Shape", ...], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """`a:b` or longer; `clock` if it may be a time of day."""

    terms: tuple["Shape", ...]
    clock: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """`sides` joined by `signs`: `=`, `<`, `>`, `le`, `ge`, `ne`, `approx`, `in`."""

    sides: tuple[str, ...]
    signs: tuple[str, ...]


Shape: TypeAlias = (
    Number
    | Words
    | Expression
    | Quantity
    | Based
    | Residue
    | Clock
    | Listing
    | Group
    | Union
    | Matrix
    | Ratio
    | Relation
)
