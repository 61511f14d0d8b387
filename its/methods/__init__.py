"""How a panel spends its calls and picks the answer: `table`. The driver still uses `old`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ..answers import Judge
from ..types import Ballot, Call, Verdict
from .old import Majority


class Method(Protocol):
    """A pure rule: it never calls a model, it says whom to ask and what the ballots mean."""

    def plan(self, members: Sequence[str], samples: int) -> list[Call]: ...

    def settled(self, ballots: Sequence[Ballot], planned: int, judge: Judge | None) -> bool: ...

    def decide(
        self, ballots: Sequence[Ballot], planned: Sequence[Call], judge: Judge | None
    ) -> Verdict: ...


METHODS: dict[str, Callable[[], Method]] = {"majority": Majority}

__all__ = ["METHODS", "Majority", "Method"]
