"""Personas written by a model: asked for, tidied, held to rules, asked for again.

The paper calls them meta-knowledge (Input-Time Scaling, arXiv 2508.13654, section 3). The model
call is passed in: the proxy and the SFT toolkit write personas by the same code.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from .. import seeds
from ..types import Message
from . import conditions
from .bank import Domain
from .prompts import Prompt, load
from .validate import fault

ATTEMPTS = 3
"""The first try and two more; then the bank serves."""

TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said, and what the engine counted for it."""

    text: str
    usage: Mapping[str, int]


Ask: TypeAlias = Callable[[Sequence[Message], int], Awaitable[Reply]]
"""Asks a model, with a sampling seed."""


@dataclass(frozen=True, slots=True)
class Written:
    """The persona (`None`: every attempt was rejected), the rejected ones' faults, the cost."""

    persona: str | None
    faults: Sequence[str]
    usage: Mapping[str, int]


async def write(
    prompt: str, question: str, domain: Domain | None, *, ask: Ask, seed: int
) -> Written:
    """Have a model write what the prompt named `prompt` asks for: a person of `domain`, or the
    question's conditions, which have no domain.

    Whatever `ask` raises passes through: what a dead engine means is the caller's to say.
    """
    by = load(prompt)
    faults: list[str] = []
    usage = dict.fromkeys(TOKENS, 0)
    for attempt in range(ATTEMPTS):
        detail = seeds.rng("detail", seed, attempt).choice(by.details) if by.details else ""
        reply = await ask(
            by.messages(question, domain.name if domain else "", detail),
            seeds.derive("persona", seed, attempt),
        )
        for name in TOKENS:
            usage[name] += reply.usage.get(name, 0)
        text, found = _judged(reply.text, question, by, domain)
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
    """Return the first paragraph of what was said, without thinking, label and quotation marks."""
    _, closed, after = text.rpartition("</think>")
    spoken = after if closed else text.partition("<think>")[0]
    first = spoken.strip().partition("\n\n")[0]
    first = re.sub(r"^\W*(?:persona|sketch)\W*:\W*", "", first, flags=re.IGNORECASE)
    return " ".join(first.split()).strip("\"'“”*` ")


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Body(msgspec.Struct):
    choices: list[_Choice]
    usage: dict[str, Any] | None = None


_BODY = msgspec.json.Decoder(_Body)
