"""What becomes of each field of a chat request: honoured, forwarded or rejected, never dropped.

The one table of it: `request` refuses by it, and docs/api.md shows it. A field without a row is
forwarded as it came, by members and panels alike, unless it is guarded: `guards` has those.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..base import guards
from ..base.errors import BadRequest
from ..config.settings import Panel

Refuses = Callable[[Any, Panel], bool]


class Field(NamedTuple):
    """A field's fate on a member and on a panel.

    A panel answers 400, with `why`, to a value that it `refuses`: one that has no meaning where
    several answers become one.
    """

    member: str
    panel: str
    refuses: Refuses | None = None
    why: str = ""


TEXT_ONLY = "a panel votes over text and answers in text"

CHAT = {
    "model": Field("honoured: becomes the engine's name", "honoured: each member's engine name"),
    "messages": Field(
        "honoured: the context goes into the first user message", "honoured: each its own context"
    ),
    "stream": Field("honoured: the engine's bytes, unparsed", "honoured: see *Panel streams*"),
    "stream_options": Field("forwarded", "honoured: `include_usage` adds a usage chunk"),
    "seed": Field(
        "forwarded", "honoured: each call's is derived from (seed, member, sample, question)"
    ),
    "rid": Field(
        "forwarded",
        "honoured: each call's is `RID-CALL`; a list is a 400",
        lambda rid, panel: rid is not None and not isinstance(rid, str),
        "`rid` must be one text on a panel",
    ),
    "n": Field(
        "forwarded",
        "rejected above 1: a panel gives one verdict",
        lambda n, panel: n not in (None, 1),
        "`n` above 1 has no meaning on a panel: it gives one verdict",
    ),
    "continue_final_message": Field(
        "forwarded",
        "forwarded with calls that end with the client's message; rejected if the method continues"
        " text of its own (`thinking_budget`, `steps`)",
    ),
    "tools": Field("forwarded", "forwarded: members vote on the calls that they make"),
    "functions": Field(
        "forwarded",
        "rejected if not empty and there are several members",
        lambda functions, panel: bool(functions) and len(panel.members) > 1,
        "`functions` cannot be voted over. Use `tools`, or ask one of the panel's members.",
    ),
    "modalities": Field(
        "forwarded",
        'rejected unless `["text"]`',
        lambda modalities, panel: modalities not in (None, [], ["text"]),
        TEXT_ONLY,
    ),
    "audio": Field(
        "forwarded", "rejected unless null", lambda audio, panel: audio is not None, TEXT_ONLY
    ),
    **dict.fromkeys(
        guards.CODE,
        Field("rejected, unless the member has it in `allow_fields`", "the same, for every member"),
    ),
    "input_time": Field("honoured, not forwarded", "honoured, not forwarded"),
}

_REFUSED = {name: (field.refuses, field.why) for name, field in CHAT.items() if field.refuses}


def check_for_panel(body: Mapping[str, Any], panel: Panel) -> None:
    """Refuse the fields that have no meaning when several answers become one.

    Raises:
        BadRequest: one of them has a value that means something.
    """
    for name, (refuses, why) in _REFUSED.items():
        if name in body and refuses(body[name], panel):
            raise BadRequest(why, param=name)


def table() -> str:
    """Return the rows as Markdown."""
    rows = [f"| `{name}` | {field.member} | {field.panel} |" for name, field in CHAT.items()]
    return "\n".join(["| field | on a member | on a panel |", "|---|---|---|", *rows]) + "\n"
