"""Read the final answer out of model text, and say which answers are equal."""

from .clusters import cluster
from .compare import compare
from .judge import Comparison, Judge, Sample, Unread
from .read import parse, read, read_or_parse

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
