"""What a request asked and what came of it, for whoever looks at it: the page, `/verdicts`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from its.methods.seam import Case
from its.types import Message

from ..config.settings import Member, Panel
from .outcome import PanelOutcome, Row
from .prompt import MemberPrompt

NO_ROWS: Mapping[str, Row] = {}


@dataclass(slots=True, eq=False)
class Told:
    """One request to a member or a panel. It holds references only: to make one costs little.

    `rows` are a panel's calls by name, and grow while it runs. `case` is what its method got. A
    member's request has `prompt`, and `raw` once its whole answer is there. A stream is passed on
    unread: it has `pieces`, only if somebody looks on. `error` is the text of an error, and not the
    error: that would hold the whole request, keys included, by its traceback.
    `began` is monotonic, `offset` the seconds from the arrival of the request to then.
    """

    target: Member | Panel
    messages: Sequence[Message]
    offset: float
    rows: Mapping[str, Row]
    case: Case | None = None
    prompt: MemberPrompt | None = None
    raw: bytes | None = None
    pieces: list[bytes] | None = None
    outcome: PanelOutcome | None = None
    error: str | None = None
    began: float = 0.0
    key: tuple[str, str] | None = None
    """By what a running request is found: whose it is, and its id."""
    end: Any = None
    """How it ended (`page.facts.End`), once it has."""

    def since(self, moment: float) -> float:
        """Return the seconds from the arrival of the request to a monotonic moment."""
        return moment - self.began + self.offset
