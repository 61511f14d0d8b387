"""A member's answer read from what its engine sent: whole JSON, or the events of a stream."""

from collections.abc import Mapping
from typing import Any

import msgspec

from its.sse import Reader
from its.types import Message

from ..base.told import Told

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
TEXTS = ("content", "reasoning_content", "reasoning")


def reply_of(told: Told) -> tuple[Message, Mapping[str, Any]]:
    """Return the message and the usage of a member's answer; both are empty if none is kept."""
    raw = told.raw if told.raw is not None else b"".join(told.pieces or ())
    body = _object(raw)
    return _streamed(raw) if body is None else (_message(body), _usage(body))


def tokens_of(told: Told) -> dict[str, Any]:
    """Return the tokens that the engine counted."""
    _, usage = reply_of(told)
    return {"prompt_tokens": usage.get("prompt_tokens"), "tokens": usage.get("completion_tokens")}


def _object(raw: bytes) -> Mapping[str, Any] | None:
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE:
        return None
    return body if isinstance(body, dict) else None


def _choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _message(body: Mapping[str, Any]) -> Message:
    choice = _choice(body)
    message = choice.get("message")
    return message if isinstance(message, dict) else {"content": choice.get("text")}


def _usage(body: Mapping[str, Any]) -> Mapping[str, Any]:
    usage = body.get("usage")
    return usage if isinstance(usage, dict) else {}


def _streamed(raw: bytes) -> tuple[Message, Mapping[str, Any]]:
    reader, texts, usage = Reader(), dict[str, list[str]](), dict[str, Any]()
    for event in [*reader.feed(raw), *reader.close()]:
        body = _object(event.data)
        if body is None:
            continue
        usage |= _usage(body)
        choice = _choice(body)
        delta = choice.get("delta")
        said = delta if isinstance(delta, dict) else {"content": choice.get("text")}
        for name in TEXTS:
            piece = said.get(name)
            if isinstance(piece, str):
                texts.setdefault(name, []).append(piece)
    return {name: "".join(pieces) for name, pieces in texts.items()}, usage
