"""Read the final answer out of model text, and say which answers are equal."""

from .algebra.judge import Comparison, Judge, Sample, Unread, Watched
from .equality.clusters import cluster
from .guard import compare, parse, read, read_or_parse

__all__ = [
    "Comparison",
    "Judge",
    "Sample",
    "Unread",
    "Watched",
    "cluster",
    "compare",
    "parse",
    "read",
    "read_or_parse",
]
