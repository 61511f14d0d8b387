"""Read the final answer out of model text, and say which answers are equal."""

from .algebra.judge import Comparison, Judge, Sample, Unread
from .equality.clusters import cluster
from .equality.compare import compare
from .reading.read import parse, read, read_or_parse

__all__ = [
    "Comparison",
    "Judge",
    "Sample",
    "Unread",
    "cluster",
    "compare",
    "parse",
    "read",
    "read_or_parse",
]
