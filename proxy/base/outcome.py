"""How a panel's calls ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from its.methods.seam import Call, Reply, Verdict
from its.types import Message

from .prompt import MemberPrompt

TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")

MOST = 1 << 53
"""No count of tokens is larger; JSON's numbers are exact up to here."""


@dataclass(slots=True)
class Spent:
    """What one call has cost so far; `estimated` where the engine said nothing and chunks count.

    `usage` is as the engine has it. `told` is called when it has cost more. Of a stream, `first` is
    the (monotonic) moment of its first words, and `said` holds the pieces of its texts until they
    are joined.
    """

    usage: Mapping[str, Any] = field(default_factory=dict)
    chunks: int = 0
    told: Callable[[], None] | None = None
    first: float | None = None
    said: Mapping[str, list[str]] | None = None
    _counted: Mapping[str, int] = field(default_factory=dict)

    def take(self, usage: Any) -> None:
        """Take what an engine says; what cannot be a count is 0: a counter of ours only grows."""
        read = self.usage = usage if isinstance(usage, dict) else {}
        self._counted = {
            name: n if type(n := read.get(name)) is int and 0 <= n <= MOST else 0 for name in TOKENS
        }

    @property
    def estimated(self) -> bool:
        return not self.usage and self.chunks > 0

    @property
    def tokens(self) -> Mapping[str, int]:
        """The standard three numbers; chunks where the engine said nothing."""
        if self.usage:
            return self._counted
        return {"prompt_tokens": 0, "completion_tokens": self.chunks, "total_tokens": self.chunks}


Failing: TypeAlias = Literal[
    "refused", "busy", "timeout", "status", "protocol", "broken", "aborted", "empty"
]
"""Why a call returned nothing. Nothing was generated after the first two, and after `status`."""


@dataclass(frozen=True, slots=True)
class FailedCall:
    """Why a call returned nothing; `cause` is the engine's error behind it."""

    kind: Failing
    detail: str
    status: int | None = None
    cause: Exception | None = None


@dataclass(frozen=True, slots=True)
class CompletedCall:
    """What a call returned: the engine's own JSON, untouched, with its first choice."""

    choice: Mapping[str, Any]
    body: Mapping[str, Any]
    message: Message


@dataclass(slots=True)
class Row:
    """One call of a panel: how it was asked, and how it ended.

    `asked` is without a context as long as that is not written. `outcome` is `ok`, `failed`,
    `late`, or `cancelled`, which is what nobody waited for any more. `voices`: the quorum counts
    it. `started` is when it was made, `sent` when it left for its engine, once for each attempt
    (monotonic).
    """

    call: Call
    asked: MemberPrompt
    spent: Spent
    voices: bool
    outcome: str = "cancelled"
    reply: Reply | None = None
    completed: CompletedCall | None = None
    failed: FailedCall | None = None
    seconds: float = 0.0
    started: float = 0.0
    sent: tuple[float, ...] = ()

    @property
    def member(self) -> str:
        """The member that was asked: of a panel that judges or writes, the one in turn."""
        return self.asked.member.name

    def answer(self, reply: Reply) -> None:
        """Take the call's reply."""
        self.reply, self.outcome = reply, reply.outcome


@dataclass(frozen=True, slots=True)
class PanelOutcome:
    """The verdict, and what became of every call, in the order asked.

    `winner` is the row of the chosen reply. `planned` is how many replies the method first asked
    for. `stopped` says what ended it from outside: `deadline`, `budget` or nothing (`""`).
    """

    verdict: Verdict
    winner: Row
    rows: Sequence[Row]
    undecided: int
    method: str
    planned: int
    personas: Sequence[Mapping[str, int]]
    stopped: str = ""

    @property
    def votes(self) -> int:
        """Votes for the winner; 0 where everybody abstained, or nobody voted."""
        clusters = self.verdict.clusters
        return len(clusters[0].ballots) if clusters else 0

    @property
    def ballots(self) -> list[Row]:
        """The calls for answers that came."""
        return [row for row in self.rows if row.call.role == "answer" and row.outcome == "ok"]

    @property
    def abstained(self) -> int:
        """Calls for an answer whose reply has none."""
        return sum([row.reply is None or row.reply.answer is None for row in self.ballots])

    @property
    def usage(self) -> dict[str, int]:
        """The tokens of every call that was paid for: also failed, late, cancelled; personas'."""
        each: list[Mapping[str, int]] = [row.spent.tokens for row in self.rows]
        each += self.personas
        return {name: sum([tokens.get(name, 0) for tokens in each]) for name in TOKENS}
