"""Read the final answer out of model text, and say which answers are equal."""

from .algebra.judge import Comparison, Judge, Sample, Unread
from .equality.clusters import cluster, key_of
from .equality.compare import compare
from .kinds import KINDS, MATH, Kind, kind_of
from .reading.read import parse, read, read_or_parse

__all__ = [
    "KINDS",
    "MATH",
    "Comparison",
    "Judge",
    "Kind",
    "Sample",
    "Unread",
    "cluster",
    "compare",
    "key_of",
    "kind_of",
    "parse",
    "read",
    "read_or_parse",
]
