"""The content blocks of Anthropic's messages as the messages of a chat."""

from collections.abc import Mapping
from typing import Any

import msgspec

from its.types import Message

from ..base.errors import BadRequest
from .translation import joined, objects, text_at, wrong


def to_messages(message: Mapping[str, Any], at: str) -> list[Message]:
    """Return the chat's messages for one message: results of tools are messages of their own.

    Raises:
        BadRequest: it has the wrong shape, or a block that a chat has nothing for.
    """
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise wrong(f"{at}.role", "user or assistant")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    blocks = objects(content, f"{at}.content")
    if role == "assistant":
        return [_assistant(blocks, f"{at}.content")]
    return _user(role, blocks, f"{at}.content")


def _assistant(blocks: list[Mapping[str, Any]], at: str) -> Message:
    """Return one turn; `redacted_thinking` cannot be read, and adds nothing."""
    texts, thoughts, calls = [], [], []
    for number, block in enumerate(blocks):
        where = f"{at}[{number}]"
        match block.get("type"):
            case "text":
                texts.append(text_at(block, "text", where))
            case "thinking":
                thoughts.append(text_at(block, "thinking", where))
            case "tool_use":
                calls.append(_call(block, where))
            case "redacted_thinking":
                pass
            case kind:
                raise _unknown(kind, where, "text, thinking, redacted_thinking, tool_use")
    turn: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    if thoughts:
        turn["reasoning_content"] = "\n".join(thoughts)
    if calls:
        turn["tool_calls"] = calls
    elif turn["content"] is None:
        turn["content"] = ""
    return turn


def _call(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    arguments = msgspec.json.encode(block.get("input") or {}).decode()
    function = {"name": text_at(block, "name", at), "arguments": arguments}
    return {"id": text_at(block, "id", at), "type": "function", "function": function}


def _user(role: str, blocks: list[Mapping[str, Any]], at: str) -> list[Message]:
    results: list[Message] = []
    parts = []
    for number, block in enumerate(blocks):
        where = f"{at}[{number}]"
        if block.get("type") == "tool_result":
            results.append(_result(block, where))
        else:
            parts.append(_part(block, where))
    if not parts and results:
        return results
    return [*results, {"role": role, "content": joined(parts)}]


def _result(block: Mapping[str, Any], at: str) -> Message:
    """Return a tool's result; a chat has no field that says that a call has failed."""
    content = block.get("content")
    if content is None:
        said: Any = ""
    elif isinstance(content, str):
        said = content
    else:
        listed = objects(content, f"{at}.content")
        said = joined([_part(part, f"{at}.content[{n}]") for n, part in enumerate(listed)])
    if block.get("is_error"):
        said = f"Error: {said}" if isinstance(said, str) else [_text("Error:"), *said]
    call = text_at(block, "tool_use_id", at)
    return {"role": "tool", "tool_call_id": call, "content": said}


def _part(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    match block.get("type"):
        case "text":
            return _text(text_at(block, "text", at))
        case "image":
            return {"type": "image_url", "image_url": {"url": _source(block, at)}}
        case "document":
            return _document(block, at)
        case "search_result":
            return _text(_search_result(block, at))
        case kind:
            raise _unknown(kind, at, "text, image, document, search_result, tool_result")


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _source(block: Mapping[str, Any], at: str) -> str:
    source = block.get("source")
    if isinstance(source, dict):
        if source.get("type") == "url":
            return text_at(source, "url", f"{at}.source")
        if source.get("type") == "base64":
            data = text_at(source, "data", f"{at}.source")
            return f"data:{text_at(source, 'media_type', f'{at}.source')};base64,{data}"
    raise wrong(f"{at}.source", "of the type base64 or url: this proxy keeps no files")


def _document(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") == "text":
        return _text(_titled(block, text_at(source, "data", f"{at}.source")))
    name = block.get("title") or "document"
    return {"type": "file", "file": {"file_data": _source(block, at), "filename": name}}


def _search_result(block: Mapping[str, Any], at: str) -> str:
    listed = objects(block.get("content"), f"{at}.content")
    texts = [text_at(part, "text", f"{at}.content[{n}]") for n, part in enumerate(listed)]
    return _titled(block, "\n".join([str(block.get("source") or ""), *texts]).strip())


def _titled(block: Mapping[str, Any], text: str) -> str:
    return f"{block['title']}\n{text}" if block.get("title") else text


def _unknown(kind: Any, at: str, known: str) -> BadRequest:
    return BadRequest(
        f"`{at}` is of the type {str(kind)[:100]!r}. The types that this proxy takes here are"
        f" {known}.",
        param=at,
    )
