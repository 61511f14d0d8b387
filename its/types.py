"""The values that pass between the parts. All are frozen; none knows a server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Message: TypeAlias = Mapping[str, Any]
"""A chat message: the JSON object as the client sent it, unknown fields included."""

Placement: TypeAlias = Literal["before", "after"]


_SPACES = re.compile(r"(?<!\d)\s+|\s+(?!\d)")


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands around a question, and where: all that a checkpoint was trained to see there.

    `placement` and `separator` are the context's. The `instruction` joins the question first, by a
    blank line; the context stands beside both. `system` is the text of the system message. Without
    an instruction or a system text (`None`) nothing is added.
    """

    placement: Placement = "before"
    separator: str = "\n\n"
    system: str | None = None
    instruction: str | None = None
    instruction_placement: Placement = "after"


@dataclass(frozen=True, slots=True)
class Context:
    """The text put beside a question, and where it came from.

    `source` says who gave it: a model that wrote it (`generate`), the `client`, or what a strategy
    picked it from (`its.strategies.Pick.source`: the `bank`, the user's `notes`, ...). `domain` is
    `None` where the text has none, as a client's own. `version` begins the SHA-256 of the user's
    file that the text is from.
    """

    persona: str
    strategy: str
    source: str
    domain: str | None
    seed: int
    version: str | None = None


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
