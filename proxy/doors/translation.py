"""What the translations of requests share: one shape of result, and refusals."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from ..base.errors import BadRequest


class Translator(Protocol):
    """Turns what a chat's endpoint sends into the answer of another API."""

    def whole(self, body: Mapping[str, Any], /) -> Mapping[str, Any]: ...
    def feed(self, data: bytes, /) -> bytes: ...
    def close(self) -> bytes: ...


class Translated(NamedTuple):
    """A request as a chat's body, and what turns the chat's answer into the client's."""

    body: dict[str, Any]
    answer: Translator


CHATS_ONLY = frozenset({
    "messages", "functions", "function_call", "modalities", "audio", "response_format",
    "max_completion_tokens", "reasoning_effort",
})  # fmt: skip
"""Fields of chats that other APIs have under another name, or not at all."""


def rest(body: Mapping[str, Any], own: Mapping[str, Any], door: str) -> dict[str, Any]:
    """Return the fields that are forwarded as they came: those that are not the API's `own`.

    Raises:
        BadRequest: one belongs to chats, and could change the answer in a way that no client of
            this API sees.
    """
    for name, value in body.items():
        if name in CHATS_ONLY and name not in own and value is not None:
            raise BadRequest(
                f"`{name}` is a field of /v1/chat/completions, and {door} has none", param=name
            )
    if body.get("n") not in (None, 1):
        raise BadRequest(f"`n` above 1: an answer of {door} has no second choice", param="n")
    return {name: value for name, value in body.items() if name not in own and name != "n"}


def refuse(body: Mapping[str, Any], refused: Mapping[str, str]) -> None:
    """Refuse the fields that mean something which the proxy does not do.

    Raises:
        BadRequest: one of them is used.
    """
    for name, why in refused.items():
        if body.get(name) not in (None, False, [], {}):
            raise BadRequest(f"`{name}`: {why}", param=name)


def wrong(at: str, wanted: str) -> BadRequest:
    """Return the error for a field of the wrong shape."""
    return BadRequest(f"`{at}` must be {wanted}", param=at)


def objects(value: Any, at: str) -> list[Mapping[str, Any]]:
    """Return a list of objects.

    Raises:
        BadRequest: it is something else.
    """
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise wrong(at, "a list of objects")
    return value


def text_at(value: Mapping[str, Any], name: str, at: str) -> str:
    """Return a field that must be text.

    Raises:
        BadRequest: it is something else.
    """
    found = value.get(name)
    if not isinstance(found, str):
        raise wrong(f"{at}.{name}", "text")
    return found


def joined(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Return the parts of a message; a single text stands for itself, as every template has it."""
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return parts


def table(fields: Mapping[str, str]) -> str:
    """Return what becomes of an API's fields, as Markdown."""
    rows = [f"| `{name}` | {fate} |" for name, fate in fields.items()]
    return "\n".join(["| field | what becomes of it |", "|---|---|", *rows]) + "\n"
