"""The prompts of a request as its engines saw them, each once."""

from collections.abc import Sequence
from typing import Any

from its import prompts
from its.types import Message

from ..base.prompt import MemberPrompt
from ..base.told import Told


def of_panel(told: Told, calls: Sequence[dict[str, Any]]) -> list[list[Message]]:
    """Return the distinct prompts; each of `calls` gets the index of its own as `prompt`."""
    found: list[list[Message]] = []
    known: dict[tuple[str, str, int], int] = {}
    for call, row in zip(calls, told.rows.values(), strict=True):
        messages = told.messages if row.call.messages is None else row.call.messages
        key = row.member, call.get("persona") or "", id(messages)
        if key not in known:
            known[key] = len(found)
            found.append(composed(messages, row.asked))
        call["prompt"] = known[key]
    return found


def of_member(told: Told, call: dict[str, Any]) -> list[list[Message]]:
    """Return the one prompt of a member's request."""
    call["prompt"] = 0 if told.prompt is not None else None
    return [composed(told.messages, told.prompt)] if told.prompt is not None else []


def composed(messages: Sequence[Message], asked: MemberPrompt) -> list[Message]:
    """Return `messages` as the member's engine gets them."""
    try:
        return list(prompts.compose(messages, asked.context, asked.layout))
    except ValueError:  # a request without a user message
        return list(messages)
