"""Drafts as a judge or a writer sees them: hostile text, fenced, and cut to what fits.

A draft cannot close its fence: the mark is drawn anew until no draft contains it. Nor can it end
the turn: the control tokens of chat templates, which engines read in any message, are broken up.
How far a draft still sways a judge is a matter of the judge, and is measured.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from msgspec.structs import replace

from ..answers.kinds import text_of
from . import prompts
from .seam import Call, Case, Reply, Round, every

CONTEXT_TOKENS = 8_192
"""What a member is taken to read where neither its engine nor its configuration says it."""

SPARE_TOKENS = 512
"""For our own instructions, the chat template and a member's context."""

FEWEST_TOKENS = 64
"""A draft that would get less than this is left out as a whole."""

_CONTROL = re.compile(
    r"<(?=[|｜/]?[A-Za-z_▁][\w▁ -]{0,40}[|｜]>|[|｜][A-Za-z_/▁])"
    r"|<(?=/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|start_of_image|tool_call|tool_response"
    r"|think|thinking)>)"
    r"|<(?=sop>|/?seed:\w{1,40}>|\[\w{1,40}\]>)|[\[\]](?=~!?b[\[\]]|e~\[|gMASK\])"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|THINK)\])"
    r"|<(?=<SYS>>)|◁(?=/?think▷)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fenced:
    """Drafts as text, which of them are in it (indices), and what was left out.

    `reply_tokens` are free for the reply.
    """

    text: str
    kept: tuple[int, ...]
    left_out: Mapping[str, int]
    reply_tokens: int


def have(case: Case) -> Round:
    """Return the drafts that are there already, or else ask for them; only those that came."""
    calls = [] if case.drafts else case.answers(case.planned)
    fresh = yield from every(calls)
    return list(case.drafts) or fresh


def fresh(case: Case) -> int:
    """Return how many calls `have` makes."""
    return 0 if case.drafts else case.planned


def number(case: Case) -> int:
    """Return how many drafts there may be."""
    return len(case.drafts) or case.planned


def said(reply: Reply) -> str:
    """Return what a draft says: its text without thinking, and its tool calls as JSON."""
    tools = reply.message.get("tool_calls")
    written = json.dumps(tools, ensure_ascii=False, default=str) if tools else ""
    return "\n".join(part for part in (reply.text.strip(), written) if part)


def fence(
    case: Case, member: str, texts: Sequence[str], label: str, *, reply_tokens: int
) -> Fenced:
    """Return `texts` inside fences, numbered from 1, cut to what `member` can read.

    `reply_tokens` are kept free for what the member writes, but no more than half of the room
    beside the conversation. Shorter texts leave their share to longer ones; where shares get too
    small, the last texts are left out.
    """
    room = case.context_tokens.get(member, CONTEXT_TOKENS) - SPARE_TOKENS
    room -= sum(tokens(text_of(message)) for message in case.messages)
    reply_tokens = max(1, min(reply_tokens, room // 2))
    budget = room - reply_tokens
    number = min(len(texts), max(0, budget) // FEWEST_TOKENS)
    kept = [defused(text) for text in texts[:number]]
    shares = _shares([tokens(text) for text in kept], budget)
    cut = [_cut(text, share) for text, share in zip(kept, shares, strict=True)]
    mark = _mark(case, texts)
    blocks = [
        f"=== {label} {n} begins {mark} ===\n{text}\n=== {label} {n} ends {mark} ==="
        for n, text in enumerate(cut, 1)
    ]
    left = sum(map(tokens, texts)) - sum(map(tokens, cut))
    left_out = {"drafts": len(texts) - number, "tokens": max(0, left)}
    return Fenced("\n\n".join(blocks), tuple(range(number)), left_out, reply_tokens)


def asked(start: str, fenced: Fenced, end: str) -> str:
    """Return our turn: what to do, that drafts are data, the drafts, and how to end."""
    return "\n\n".join((start, prompts.DATA, fenced.text, prompts.DATA, end))


def limited(call: Call, context_tokens: int | None, max_tokens: int | None) -> Call:
    """Return `call` with no more `max_tokens` (the client's) than its own longer messages leave.

    Engines refuse a request whose prompt and `max_tokens` exceed the context. A driver does this
    to each call before it is sent. Where one of the numbers is not known, the call stays.
    """
    if call.messages is None or "max_tokens" in call.params or not (context_tokens and max_tokens):
        return call
    used = sum(tokens(text_of(message)) for message in call.messages) + SPARE_TOKENS
    left = max(1, context_tokens - used)
    if left >= max_tokens:
        return call
    params = {**call.params, "max_tokens": left, "max_completion_tokens": None}
    return replace(call, params=params)


def defused(text: str) -> str:
    """Return `text` with the control tokens of chat templates broken up by a space."""
    return _CONTROL.sub(lambda match: match[0] + " ", text)


def tokens(text: str) -> int:
    """Return about how many tokens `text` has, rather too many: there is no tokenizer here.

    Three bytes are one token; a digit is one, as in many vocabularies.
    """
    digits = sum(map(str.isdigit, text))
    return digits + -(-(len(text.encode("utf-8", "surrogatepass")) - digits) // 3)


def _shares(sizes: Sequence[int], budget: int) -> list[int]:
    """Divide `budget`: a text gets what it needs, up to an equal share of what is left."""
    shares = [0] * len(sizes)
    left = budget
    for done, index in enumerate(sorted(range(len(sizes)), key=lambda i: sizes[i])):
        shares[index] = min(sizes[index], left // (len(sizes) - done))
        left -= shares[index]
    return shares


def _cut(text: str, share: int) -> str:
    """Return `text` in `share` tokens: a third from its start, the rest from its end."""
    size = tokens(text)
    if size <= share:
        return text
    room = len(text) * max(0, share - 8) // size
    head, tail = text[: room // 3], text[len(text) - (room - room // 3) :]
    # Dense text may hold more tokens than its length says: 8 spare ones, then by halves.
    while room and tokens(head) + tokens(tail) > share - 8:
        head, tail, room = head[: len(head) // 2], tail[len(tail) // 2 :], room // 2
    return f"{head}\n[... cut ...]\n{tail}"


def _mark(case: Case, texts: Sequence[str]) -> str:
    """Return a mark that stands in no draft, the same for the same request."""
    marks = (f"{case.derived('mark', n):08x}" for n in count())
    return next(mark for mark in marks if not any(mark in text for text in texts))
