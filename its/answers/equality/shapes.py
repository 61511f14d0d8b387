"""What an answer can be: number, list, set, tuple, interval, matrix, relation, words, ..."""

from dataclasses import dataclass
from typing import TypeAlias

from .numbers import Number


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
    unit: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Several answers whose order does not matter: a set, or what commas and "and" join."""

    items: tuple["Shape", ...]


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
    Number | Words | Expression | Quantity | Listing | Group | Union | Matrix | Ratio | Relation
)
