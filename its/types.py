"""The values that pass between the parts. All are frozen; none knows a server."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Message: TypeAlias = Mapping[str, Any]
"""A chat message: the JSON object as the client sent it, unknown fields included."""

Placement: TypeAlias = Literal["before", "after"]


_SPACES = re.compile(r"(?<!\d)\s+|\s+(?!\d)")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a context stands in the opening user message, and what parts it from the question."""

    placement: Placement = "before"
    separator: str = "\n\n"


@dataclass(frozen=True, slots=True)
class Context:
    """The text put beside a question, and where it came from.

    `source` says who gave it: the `bank`, a model that wrote it (`generate`), the user's `notes`,
    or the `client`. `domain` is `None` where the text has none, as a client's own.
    """

    persona: str
    strategy: str
    source: str
    domain: str | None
    seed: int


AnswerKind: TypeAlias = Literal["math", "json", "label", "text", "tool"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer read from a reply: its tidy text and, if it is one, its integer.

    `kind` says how it is compared; the letter of a multiple choice is `math`.
    """

    text: str
    integer: int | None = None
    kind: AnswerKind = "math"

    @property
    def key(self) -> str:
        """The text without spaces: answers with the same key are equal.

        A space between two digits stays: `2 1/2` is not 21/2.
        """
        return _SPACES.sub("", self.text)


@dataclass(frozen=True, slots=True)
class Call:
    """One planned model call of a panel: the `sample`-th question put to `member`."""

    member: str
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What one call returned. `choice` and `body` are the engine's own JSON, untouched."""

    call: Call
    choice: Mapping[str, Any]
    body: Mapping[str, Any]
    seconds: float

    @property
    def text(self) -> str:
        content = self.choice["message"].get("content")
        return content if isinstance(content, str) else ""

    @property
    def finish_reason(self) -> str | None:
        reason = self.choice.get("finish_reason")
        return reason if isinstance(reason, str) else None

    @property
    def usage(self) -> Mapping[str, Any]:
        usage = self.body.get("usage")
        return usage if isinstance(usage, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one call returned nothing: data, never an exception past the fan-out.

    `kind` is one of `refused`, `timeout`, `status`, `protocol`, `broken`, `aborted`, `empty`;
    `status` is the engine's HTTP status where it gave one. `cause` is the error behind it, for
    whoever made the call: the proxy answers its own client with it.
    """

    call: Call
    kind: str
    detail: str
    status: int | None = None
    cause: Exception | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ballot:
    """A completion with the answer read from it; `None` abstains."""

    completion: Completion
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Ballots whose answers are equal; `answer` is the first one's."""

    answer: Answer
    ballots: Sequence[Ballot]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The winning ballot, the tally (best cluster first) and every ballot cast.

    `agreement` is the winner's votes divided by the number of *planned* calls (0 to 1).
    """

    winner: Ballot
    tally: Sequence[Cluster]
    ballots: Sequence[Ballot]
    agreement: float
