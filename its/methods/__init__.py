"""How a panel spends its calls and picks the answer: `table`. The driver still uses `old`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ..answers import Judge
from ..types import Ballot
from ..types import Call as OldCall
from ..types import Verdict as OldVerdict
from .old import Majority
from .options import OptionError, Options, Voting
from .seam import (
    Call,
    Case,
    Cluster,
    Grader,
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
from .votes import settle, vote


class Method(Protocol):
    """A pure rule: it never calls a model, it says whom to ask and what the ballots mean."""

    def plan(self, members: Sequence[str], samples: int) -> list[OldCall]: ...

    def settled(self, ballots: Sequence[Ballot], planned: int, judge: Judge | None) -> bool: ...

    def decide(
        self, ballots: Sequence[Ballot], planned: Sequence[OldCall], judge: Judge | None
    ) -> OldVerdict: ...


METHODS: dict[str, Callable[[], Method]] = {"majority": Majority}

__all__ = [
    "METHODS",
    "Call",
    "Case",
    "Cluster",
    "Grader",
    "Majority",
    "Method",
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
    "settle",
    "until",
    "vote",
]
