"""How a panel spends its calls and picks the answer: programs, one file each."""

from .options import OptionError, Options, Voting
from .seam import (
    Call,
    Case,
    Cluster,
    Grader,
    Method,
    Need,
    Program,
    Reply,
    TimeUp,
    Verdict,
    any_late,
    came,
    every,
    explained,
    until,
)
from .table import METHODS, MethodError, find, names
from .votes import settle, vote

__all__ = [
    "METHODS",
    "Call",
    "Case",
    "Cluster",
    "Grader",
    "Method",
    "MethodError",
    "Need",
    "OptionError",
    "Options",
    "Program",
    "Reply",
    "TimeUp",
    "Verdict",
    "Voting",
    "any_late",
    "came",
    "every",
    "explained",
    "find",
    "names",
    "settle",
    "until",
    "vote",
]
