"""How a panel's calls ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from its.types import Call, Failure, Verdict

from .prompt import MemberPrompt

TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass(slots=True)
class Spent:
    """What one call has cost so far; `estimated` where the engine said nothing and chunks count."""

    usage: Mapping[str, Any] = field(default_factory=dict)
    chunks: int = 0

    @property
    def estimated(self) -> bool:
        return not self.usage and self.chunks > 0

    @property
    def tokens(self) -> dict[str, int]:
        """The standard three numbers."""
        if self.estimated:
            return {"prompt_tokens": 0, "completion_tokens": self.chunks,
                    "total_tokens": self.chunks}  # fmt: skip
        return {name: _number(self.usage.get(name)) for name in TOKENS}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, and what became of every planned call."""

    verdict: Verdict
    asked: Mapping[str, MemberPrompt]
    failures: Sequence[Failure]
    late: Sequence[Call]
    cancelled: Sequence[Call]
    spent: Mapping[Call, Spent]
    undecided: int
    method: str
    planned: int

    @property
    def votes(self) -> int:
        """Votes for the winner; 0 where everybody abstained."""
        return len(self.verdict.tally[0].ballots) if self.verdict.tally else 0

    @property
    def decided(self) -> bool:
        """Whether at least two ballots agree, and more of them than on any other answer."""
        sizes = [len(cluster.ballots) for cluster in self.verdict.tally]
        return bool(sizes) and sizes[0] > 1 and sizes[0] > max(sizes[1:], default=0)

    @property
    def usage(self) -> dict[str, int]:
        """The tokens of every call that was paid for: cast, failed, late, cancelled, personas'."""
        each: list[Mapping[str, int]] = [spent.tokens for spent in self.spent.values()]
        each += [asked.usage for asked in self.asked.values() if asked.usage]
        return {name: sum(tokens.get(name, 0) for tokens in each) for name in TOKENS}


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
