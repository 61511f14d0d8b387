"""Read the final answer out of model text, and say which answers are equal."""

from .compare import Comparison, Judge, cluster, compare
from .read import normalise, parse, read

__all__ = ["Comparison", "Judge", "cluster", "compare", "normalise", "parse", "read"]
