"""The seam between a method and whoever drives it.

A method is a pure generator. It yields calls, is sent one reply at a time, and returns a verdict.
The driver owns I/O, time, money and streaming: the proxy's driver asks engines, `its-eval replay`
sends stored replies to the same generator.

Replies are told apart by `call.name`, never by comparing calls (their `params` have no hash).
The values are msgspec's structs: a request makes dozens, each at a fifth of a dataclass's cost.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
from msgspec.structs import replace

from .. import seeds
from ..answers import Judge
from ..prompts import question
from ..types import Answer, Message

Grader: TypeAlias = Judge
"""Decides whether two answers are equal. A *judge* is a member that rates drafts."""

Role: TypeAlias = Literal["answer", "judge", "write", "score"]
Outcome: TypeAlias = Literal["ok", "failed", "late", "cancelled"]
Need: TypeAlias = Literal["logprobs", "prefix", "judge", "scores", "one_member"]
"""What a method needs of its members. `one_member` is advice: the others are refused at start."""


class Call(msgspec.Struct, frozen=True):
    """One request to one member.

    `name` is unique within the request: seeds, request ids and rows hang on it. `messages` of
    `None` are the client's own. `prefix` is text of the assistant that the engine continues; an
    empty continuation of it is a reply, not a failure. Where all of it was thinking, `thoughts` are
    what it says without its marks: the client gets them as `reasoning_content`.
    `params` stand over the client's; a value of `None` removes the client's. At most one call of
    a program is `shown`: its text will be the answer, and is streamed as it comes.
    """

    member: str
    name: str
    role: Role = "answer"
    round: int = 0
    messages: tuple[Message, ...] | None = None
    prefix: str | None = None
    thoughts: str | None = None
    params: Mapping[str, Any] = {}
    shown: bool = False


class Logprobs(msgspec.Struct, frozen=True):
    """What a reply's log-probabilities say of it, as `confidence.measure` computes it.

    `mean` is of the chosen tokens (natural logarithm, at most 0). `tail` and `worst` are DeepConf's
    confidence over the last tokens and over the worst window: `None` without `top_logprobs`.
    """

    mean: float
    tail: float | None = None
    worst: float | None = None


class Reply(msgspec.Struct, frozen=True):
    """What came back from a call, or why nothing did (`outcome`): data, never an exception.

    `message` is the engine's own, tool calls included. `text` is its content without thinking.
    `raw` is all that the assistant wrote, thinking included. After a `prefix` all three, and the
    answer, are of the prefix and its continuation together; of thoughts only `raw` is. `stop` is
    the stop sequence that ended the reply, `""` if the model ended it, `None` if the engine does
    not say. `score` is a scorer's.
    """

    call: Call
    outcome: Outcome = "ok"
    message: Message = {}
    text: str = ""
    raw: str = ""
    answer: Answer | None = None
    finish_reason: str | None = None
    stop: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    logprobs: Logprobs | None = None
    score: float | None = None

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    @property
    def complete(self) -> bool:
        """Whether the reply came and was not cut at its token limit."""
        return self.ok and self.finish_reason != "length"


class Cluster(msgspec.Struct, frozen=True):
    """Replies (ballots) whose answers are equal; `answer` is the first one's."""

    answer: Answer
    ballots: tuple[Reply, ...]
    weight: float


class Verdict(msgspec.Struct, frozen=True):
    """The chosen reply, and why.

    `winner` is `None` only if nothing came. `clusters` and `ranked` (all drafts) are best first.
    `decided` is true if one cluster of at least two ballots, or of the greatest weight, leads
    alone, or a judge chose; false for a tie, one readable ballot or a fallback; `None` where
    nothing is chosen. `agreement` (0 to 1) is what `threshold` is held against, `None` if
    the method has no such measure. `withheld`: the panel abstains, nobody is shown the winner.
    `account` is the method's own, as JSON.
    """

    winner: Reply | None
    clusters: tuple[Cluster, ...] = ()
    decided: bool | None = None
    agreement: float | None = None
    withheld: bool = False
    ranked: tuple[Reply, ...] = ()
    account: Mapping[str, Any] = {}

    @property
    def sizes(self) -> list[int]:
        """The number of ballots of each cluster."""
        return [len(group.ballots) for group in self.clusters]


class Case(msgspec.Struct, frozen=True):
    """All that a method may know of a request.

    `options` are of the method's own type. `quorum` replies must be there before a method stops
    early. `context_tokens` are by member; `panels` gives the members of a panel that an option may
    name, each as often as it is asked. `drafts` are answers that are there already (a nested
    method gets them). `asked` stands in for the client's messages in the calls for answers.
    `path` and `round` keep the calls of a nested method apart. Where its text is not the panel's
    answer, it may not show a call (`may_show`). `stop` and `max_tokens` are what the client wants
    of the whole answer, for a method that writes it in several calls.
    """

    members: tuple[str, ...]
    samples: int
    messages: tuple[Message, ...]
    options: Any
    seed: int = 0
    early_stop: bool = True
    quorum: int | None = None
    context_tokens: Mapping[str, int] = {}
    panels: Mapping[str, Sequence[str]] = {}
    drafts: tuple[Reply, ...] = ()
    asked: tuple[Message, ...] | None = None
    path: str = ""
    round: int = 0
    may_show: bool = True
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None

    def derived(self, *parts: str | int) -> int:
        """Return a seed for one purpose, which `parts` name: another for each question."""
        return seeds.derive(*parts, self.seed, self.path, question(self.messages) or "")

    @property
    def planned(self) -> int:
        """How many drafts the panel asks for: `samples` of each member."""
        return self.samples * len(self.members)

    def call(
        self, member: str, name: str, *, round: int = 0, shown: bool = False, **rest: Any
    ) -> Call:
        """Return a call whose name and round are told apart from those of other methods."""
        shown = shown and self.may_show
        return Call(member, self.path + name, round=self.round + round, shown=shown, **rest)

    def answers(self, number: int, first: int = 0, *, round: int = 0) -> list[Call]:
        """Return `number` calls for an answer, to the members in turn, from the `first` one on."""
        members, path, round = self.members, self.path, self.round + round
        return [
            Call(members[n % len(members)], f"{path}answer-{n}", "answer", round, self.asked)
            for n in range(first, first + number)
        ]

    def behind(self, name: str) -> tuple[str, ...]:
        """Return the members behind a name, which is a member's or a panel's."""
        return tuple(self.panels.get(name, (name,)))


Program: TypeAlias = Generator[Sequence[Call], Reply, Verdict]
Round: TypeAlias = Generator[Sequence[Call], Reply, list[Reply]]


class Method(Protocol):
    """How a panel spends its calls and picks the answer.

    It may say two more things of itself. `votes = True`: it asks all at once and votes, so that by
    default more than half of the calls must come. `light = True`: a step without a grader takes
    microseconds, so that it needs no thread.
    """

    @property
    def options(self) -> type[Any]:
        """The type of the panel's options: a subclass of `options.Options`."""

    def needs(self, options: Any) -> frozenset[Need]:
        """Return what the members' engines must be able to do."""

    def most_calls(self, case: Case) -> int:
        """Return how many calls a request costs in the worst case."""

    def run(self, case: Case, grader: Grader | None) -> Program:
        """Return the program for one request."""


class TimeUp(Exception):
    """Thrown into a program that yields new calls after the deadline."""


def until(calls: Sequence[Call], enough: Callable[[Sequence[Reply]], bool] | None) -> Round:
    """Ask `calls` at once until `enough` says so of the replies, or all are there.

    The replies come in the order asked, not of arrival. After the deadline all are `late`: a
    program ends with what it has, because each of its rounds ends. Replies to other calls, which
    an earlier round did not wait for, are passed over.
    """
    got: dict[str, Reply] = {}
    names = {call.name for call in calls}
    todo = calls
    try:
        while len(got) < len(calls):
            reply = yield todo
            todo = ()
            if reply.call.name in names:
                got[reply.call.name] = reply
                if enough is not None and enough(_ordered(calls, got)):
                    break
    except TimeUp:
        got |= {call.name: Reply(call, "late") for call in calls if call.name not in got}
    return _ordered(calls, got)


def every(calls: Sequence[Call]) -> Round:
    """Ask `calls` at once and wait for all: a round as a barrier."""
    return until(calls, None)


def _ordered(calls: Sequence[Call], got: Mapping[str, Reply]) -> list[Reply]:
    return [got[call.name] for call in calls if call.name in got]


def came(replies: Sequence[Reply]) -> list[Reply]:
    """Return the replies that are there."""
    return [reply for reply in replies if reply.outcome == "ok"]


def any_late(replies: Sequence[Reply]) -> bool:
    """Tell whether the deadline has passed: a program asks for nothing more then."""
    return any([reply.outcome == "late" for reply in replies])


def stand_ins(number: int) -> tuple[Reply, ...]:
    """Return as many drafts without content, to count what a method on them would cost."""
    return tuple(Reply(Call("", f"stand-in-{n}")) for n in range(number))


def explained(verdict: Verdict, **account: Any) -> Verdict:
    """Return `verdict` with more in its account."""
    return replace(verdict, account={**verdict.account, **account})
