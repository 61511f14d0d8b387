"""Read the final answer out of model text, and say which answers are equal."""

from .algebra.judge import Comparison, Judge, Remembered, Sample, Unread, Watched
from .clusters import cluster, key_of
from .guard import compare, parse, read, read_or_parse
from .kinds import KINDS, MATH, Kind, kind_of

__all__ = [
    "KINDS",
    "MATH",
    "Comparison",
    "Judge",
    "Kind",
    "Remembered",
    "Sample",
    "Unread",
    "Watched",
    "cluster",
    "compare",
    "key_of",
    "kind_of",
    "parse",
    "read",
    "read_or_parse",
]
