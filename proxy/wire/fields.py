"""What becomes of each request field: honoured, forwarded or rejected, and never dropped.

The rows stand in `docs/api.md` as they are here; a test asks the proxy about every one of them.
A field without a row is forwarded as it came, by members and panels alike, unless it is guarded:
`guards` has those.
"""

from typing import NamedTuple

from ..base import guards


class Field(NamedTuple):
    """A field's fate on a member and on a panel."""

    member: str
    panel: str


CHAT = {
    "model": Field("honoured: becomes the engine's name", "honoured: each member's engine name"),
    "messages": Field(
        "honoured: the context goes into the first user message", "honoured: each its own context"
    ),
    "stream": Field("honoured: the engine's bytes, unparsed", "honoured: see *Panel streams*"),
    "stream_options": Field("forwarded", "honoured: `include_usage` adds a usage chunk"),
    "seed": Field(
        "forwarded", "honoured: each call's is derived from (seed, the call's name, question)"
    ),
    "rid": Field("forwarded", "honoured: each call's is `RID-CALL`; a list is a 400"),
    "n": Field("forwarded", "rejected above 1: a panel gives one verdict"),
    "tools": Field("forwarded", "forwarded: members vote on the calls that they make"),
    "functions": Field("forwarded", "rejected if not empty and there are several members"),
    "modalities": Field("forwarded", 'rejected unless `["text"]`'),
    "audio": Field("forwarded", "rejected unless null"),
    **dict.fromkeys(
        guards.CODE,
        Field("rejected, unless the member has it in `allow_fields`", "the same, for every member"),
    ),
    "input_time": Field("honoured, not forwarded", "honoured, not forwarded"),
}


def table() -> str:
    """Return the rows as Markdown."""
    rows = [f"| `{name}` | {field.member} | {field.panel} |" for name, field in CHAT.items()]
    return "\n".join(["| field | on a member | on a panel |", "|---|---|---|", *rows]) + "\n"
