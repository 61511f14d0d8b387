"""Personas written by a model: asked for, tidied, held to rules, asked for again.

The paper calls them meta-knowledge (Input-Time Scaling, arXiv 2508.13654, section 3). The model
call is passed in: the proxy and the SFT toolkit write personas by the same code.
"""

import hashlib
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from .. import seeds
from ..types import Message
from . import conditions
from .bank import Domain
from .prompts import Prompt, load
from .twins import Twins
from .validate import fault

ATTEMPTS = 3
"""The first try and two more; then the bank serves."""

LONGEST_TIDIED = 100_000
"""Characters of a reply that are looked at; thinking stands in front of the text."""

_LABEL = re.compile(r"^[\s*#_]*(?:persona|sketch)[\s*_]*:[\s*_]*", re.IGNORECASE)
_ENCLOSING = (
    ('"', '"'), ("'", "'"), ("\u201c", "\u201d"), ("\u2018", "\u2019"),
    ("**", "**"), ("*", "*"), ("`", "`"),
)  # fmt: skip

TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said, and what the engine counted for it."""

    text: str
    usage: Mapping[str, int]


AskWriter: TypeAlias = Callable[[Sequence[Message], int], Awaitable[Reply]]
"""Asks a model, with a sampling seed."""


@dataclass(frozen=True, slots=True)
class Written:
    """The persona (`None`: every attempt was rejected), the rejected ones' faults, the cost."""

    persona: str | None
    faults: Sequence[str]
    usage: Mapping[str, int]


async def write(
    prompt: str,
    question: str,
    domain: Domain | None,
    *,
    ask: AskWriter,
    seed: int,
    twins: Twins | None = None,
) -> Written:
    """Have a model write what the prompt named `prompt` asks for: a person of `domain`, or the
    question's conditions, which have no domain.

    Each question has requests of its own, even where the model does not see it: a seed for the
    engine, a detail and a place. A text much like one of `twins` is refused; an accepted one joins
    them. Whatever `ask` raises passes through: what a dead engine means is the caller's to say.
    """
    by = load(prompt)
    faults: list[str] = []
    usage = dict.fromkeys(TOKENS, 0)
    own = hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()
    for attempt in range(ATTEMPTS):
        rng = seeds.rng("detail", seed, own, attempt)
        messages = by.messages(question, domain.name if domain else "", by.vary(rng))
        reply = await ask(messages, seeds.derive("persona", seed, own, attempt))
        for name in TOKENS:
            usage[name] += reply.usage.get(name, 0)
        text, found = _judged(reply.text, question, by, domain)
        if found is None and twins is not None and not twins.add(text):
            found = "twin of another"
        if found is None:
            return Written(text, faults, usage)
        faults.append(found)
    return Written(None, faults, usage)


def _judged(said: str, question: str, by: Prompt, domain: Domain | None) -> tuple[str, str | None]:
    """Return the tidied text, and the first rule that it breaks."""
    if by.kind == "conditions":
        text = conditions.tidy(said)
        return text, conditions.fault(text, question)
    assert domain is not None, "a person has a domain"
    text = tidy(said)
    return text, fault(text, question, by, domain)


def reply(raw: bytes) -> Reply:
    """Read a chat completion as an engine sent it.

    Raises:
        ValueError: it is none.
    """
    try:
        body = _BODY.decode(raw)
        content = body.choices[0].message.content
    except (msgspec.MsgspecError, IndexError) as error:
        raise ValueError("sent something else than a chat completion") from error
    usage = {name: n for name, n in (body.usage or {}).items() if name in TOKENS and type(n) is int}
    return Reply(content or "", usage)


def tidy(text: str) -> str:
    """Return the first paragraph of what was said, without thinking, label and what encloses it."""
    _, closed, after = text[:LONGEST_TIDIED].rpartition("</think>")
    spoken = after if closed else text[:LONGEST_TIDIED].partition("<think>")[0]
    first = unicodedata.normalize("NFC", spoken.strip().partition("\n\n")[0])
    bare = _unwrapped(" ".join(first.split()))
    return _unwrapped(_LABEL.sub("", bare))


def _unwrapped(text: str) -> str:
    """Take off marks that enclose all of `text`, and no quotation inside it: one mark of a pair
    may belong to a quotation that begins or ends the text."""
    text = text.strip()
    for opening, closing in _ENCLOSING:
        inner = text[len(opening) : -len(closing)]
        wrapped = text.startswith(opening) and text.endswith(closing) and inner
        if wrapped and opening not in inner and closing not in inner:
            return _unwrapped(inner)
    return text


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Body(msgspec.Struct):
    choices: list[_Choice]
    usage: dict[str, Any] | None = None


_BODY = msgspec.json.Decoder(_Body)
