"""How a panel spends its calls and picks the answer: programs, one file each."""

from .seam import Call, Case, Cluster, Method, Program, Reply, TimeUp, Verdict
from .table import METHODS, MethodError, find, names

__all__ = [
    "METHODS",
    "Call",
    "Case",
    "Cluster",
    "Method",
    "MethodError",
    "Program",
    "Reply",
    "TimeUp",
    "Verdict",
    "find",
    "names",
]
