"""The items of the Responses API as the messages of a chat."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from its.types import Message

from ..base.errors import BadRequest
from .translation import joined, objects, text_at, wrong

SEALED = "its."
"""Begins the `encrypted_content` of our reasoning items: it is encoded, nothing in it is secret."""

ROLES = ("assistant", "developer", "system", "user")


def to_messages(items: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Return the messages of a conversation.

    Reasoning, text and tool calls of one turn are one message of an assistant.

    Raises:
        BadRequest: an item has the wrong shape, or a type that a chat has no message for.
    """
    messages: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        at, kind = f"input[{number}]", item.get("type", "message")
        take = _KINDS.get(kind) if isinstance(kind, str) else None
        if take is None:
            raise BadRequest(
                f"`{at}` is of the type {str(kind)[:100]!r}. The types that this proxy takes are"
                f" {', '.join(_KINDS)}, item_reference.",
                param=at,
            )
        if kind != "message" and "role" in item:
            raise BadRequest(f"`{at}`: an item of the type {kind!r} has no role", param=at)
        take(item, at, messages)
    return [message for message in messages if message.keys() != {"role", "reasoning_content"}]


def _message(item: Mapping[str, Any], at: str, messages: list[dict[str, Any]]) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        raise wrong(f"{at}.role", f"one of {', '.join(ROLES)}")
    if role != "assistant":
        messages.append({"role": role, "content": _content(content, f"{at}.content")})
        return
    parts = _content(content, f"{at}.content")
    said = parts if isinstance(parts, str) else "".join(part.get("text", "") for part in parts)
    turn = _turn(messages)
    if "content" in turn or "tool_calls" in turn:
        turn = {"role": "assistant"}
        messages.append(turn)
    turn["content"] = said


def _content(content: Any, at: str) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong(at, "text or a list of parts")
    return joined([_part(part, f"{at}[{number}]") for number, part in enumerate(content)])


def _part(part: Any, at: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": text_at(part, "text", at)}
    if kind == "refusal":
        return {"type": "text", "text": text_at(part, "refusal", at)}
    if kind == "input_image":
        shown = {"url": text_at(part, "image_url", at)}
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {**shown, **detail}}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    if kind == "input_file":
        given = {name: part[name] for name in ("file_data", "filename") if part.get(name)}
        if "file_data" not in given:
            raise BadRequest(f"`{at}`: this proxy keeps no files. Send `file_data`.", param=at)
        return {"type": "file", "file": given}
    raise BadRequest(
        f"`{at}` must be a part of the type input_text, output_text, refusal, input_image,"
        " input_audio or input_file",
        param=at,
    )


def _call(item: Mapping[str, Any], at: str, messages: list[dict[str, Any]]) -> None:
    function = {name: text_at(item, name, at) for name in ("name", "arguments")}
    call = {"id": text_at(item, "call_id", at), "type": "function", "function": function}
    turn = _turn(messages)
    turn.setdefault("content", None)
    turn.setdefault("tool_calls", []).append(call)


def _output(item: Mapping[str, Any], at: str, messages: list[dict[str, Any]]) -> None:
    content = _content(item.get("output"), f"{at}.output")
    call_id = text_at(item, "call_id", at)
    messages.append({"role": "tool", "tool_call_id": call_id, "content": content})


def _reasoning(item: Mapping[str, Any], at: str, messages: list[dict[str, Any]]) -> None:
    """Give the turn its reasoning; templates that leave it out of earlier turns do so themselves.

    What another server has encrypted cannot be read, and adds nothing.
    """
    texts = [
        part["text"]
        for name in ("content", "summary")
        for part in objects(item.get(name) or [], f"{at}.{name}")
        if isinstance(part.get("text"), str)
    ]
    thought = "\n".join(texts) or unsealed(item.get("encrypted_content"))
    if thought:
        messages.append({"role": "assistant", "reasoning_content": thought})


def _turn(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the assistant's turn that goes on, or a new one."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant"})
    return messages[-1]


_KINDS: Mapping[str, Callable[[Mapping[str, Any], str, list[dict[str, Any]]], None]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "reasoning": _reasoning,
}


def sealed(thought: str) -> str:
    """Return reasoning as `encrypted_content`, which clients send back without looking at it."""
    return SEALED + base64.b64encode(thought.encode()).decode()


def unsealed(content: Any) -> str:
    """Return the reasoning in an `encrypted_content` of ours; `""` for any other."""
    if not isinstance(content, str) or not content.startswith(SEALED):
        return ""
    try:
        return base64.b64decode(content.removeprefix(SEALED), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
