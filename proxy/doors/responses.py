"""OpenAI's Responses API: what a client asks there, as a chat."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..base.errors import ApiError, BadRequest
from ..wire.request import Request
from . import items
from .kept import MOST_RECALLED, Item, Kept
from .translation import objects, refuse, rest, text_at, wrong

DOOR = "/v1/responses"

REFUSED: Mapping[str, str] = {
    "background": "this proxy runs nothing in the background. Ask with `stream` instead.",
    "conversation": "this proxy keeps no conversations. Use `previous_response_id`, or send all"
    " items in `input`.",
    "prompt": "this proxy keeps no prompts. Send `instructions` and `input`.",
    "context_management": "this proxy compacts nothing. Send the items that are to be read.",
    "moderation": "this proxy moderates nothing.",
}

FIELDS: Mapping[str, str] = {
    "model": "honoured: a member or a panel",
    "input": "honoured: becomes the chat's messages",
    "instructions": "honoured: becomes the system message",
    "stream": "honoured",
    "stream_options": "honoured: there is no obfuscation, and usage is always sent",
    "max_output_tokens": "honoured: becomes `max_tokens`",
    "text": "honoured: `format` becomes `response_format`, and `verbosity` stays",
    "tools": "honoured: functions; any other tool is a 400",
    "tool_choice": "honoured; `allowed_tools` leaves the other tools out",
    "reasoning": "honoured: `effort` becomes `reasoning_effort`; with `summary` the reasoning is"
    " sent as a summary, else as content",
    "include": "honoured: `reasoning.encrypted_content`, `message.output_text.logprobs`; the others"
    " concern tools that this proxy does not have",
    "top_logprobs": "honoured",
    "previous_response_id": "honoured: a response that this proxy has kept for this key",
    "store": "honoured: `false` keeps nothing",
    "metadata": "honoured: comes back",
    "max_tool_calls": "comes back: it limits tools that this proxy does not have",
    "truncation": 'rejected unless `"disabled"`',
    "input_time": "honoured, not forwarded",
    **dict.fromkeys(REFUSED, "rejected"),
}
"""What becomes of each field; one that is not named is forwarded as it came."""


class Conversation(NamedTuple):
    """What is asked: the items of this request, and of all that it goes on with."""

    asked: Sequence[Item]
    whole: Sequence[Item]


def chat(request: Request, kept: Kept, client: str) -> tuple[dict[str, Any], Conversation]:
    """Return a chat's body for a request, and the conversation that it stands for.

    Raises:
        BadRequest: a field has the wrong shape, or means something that a chat has not.
    """
    body = request.body
    refuse(body, REFUSED)
    if body.get("truncation") not in (None, "disabled"):
        raise BadRequest(
            "`truncation`: this proxy never cuts a conversation. Leave it out, and send fewer"
            " items.",
            param="truncation",
        )
    talk = _conversation(body, kept, client)
    messages = items.to_messages(talk.whole)
    instructions = body.get("instructions")
    if instructions is not None:
        said = text_at(body, "instructions", DOOR) if instructions else ""
        messages = [{"role": "system", "content": said}, *messages] if said else messages
    sent = {**rest(body, FIELDS, DOOR), "model": request.model, "messages": messages}
    return {**sent, **_sampling(body), **_tools(body)}, talk


def _conversation(body: Mapping[str, Any], kept: Kept, client: str) -> Conversation:
    given = body.get("input")
    _check_size(body, kept, client)
    if isinstance(given, str):
        asked: list[Item] = [{"type": "message", "role": "user", "content": given}]
    elif isinstance(given, list) and given:
        listed = objects(given, "input")
        asked = [_referred(item, at, kept, client) for at, item in enumerate(listed)]
    else:
        raise wrong("input", "text or a list of items")
    earlier = body.get("previous_response_id")
    if earlier is None:
        return Conversation(asked, asked)
    before = kept.conversation(client, earlier) if isinstance(earlier, str) else None
    if before is None:
        raise BadRequest(
            "`previous_response_id`: this proxy does not know that response (any more). It keeps"
            " what it made for the same key, in memory and without `store` = false. Send the whole"
            " conversation in `input`.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return Conversation(asked, [*before, *asked])


def _check_size(body: Mapping[str, Any], kept: Kept, client: str) -> None:
    """Hold what a request recalls to a limit, before any of it is read.

    Raises:
        ApiError: it is too much (413).
    """
    earlier, given = body.get("previous_response_id"), body.get("input")
    listed = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    ids = [each["id"] for each in listed if isinstance(each.get("id"), str)]
    first = earlier if isinstance(earlier, str) else None
    if kept.recalled(client, first, ids) > MOST_RECALLED:
        raise ApiError(
            f"the conversation that this request goes on with has more than {MOST_RECALLED:,}"
            " bytes. Begin a new one, or send what still matters in `input`.",
            413,
        )


def _referred(item: Item, number: int, kept: Kept, client: str) -> Item:
    """Return an item, or the one that it refers to."""
    kind = item.get("type")
    if not (kind == "item_reference" or (kind is None and "role" not in item)):
        return item
    found = kept.item(client, item["id"]) if isinstance(item.get("id"), str) else None
    if found is None:
        raise BadRequest(
            f"`input[{number}]` refers to an item that this proxy does not know (any more). Send"
            " the item itself: most clients do so with `store` = false.",
            param=f"input[{number}]",
            code="item_not_found",
        )
    return found


def _sampling(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if body.get("max_output_tokens") is not None:
        found["max_tokens"] = body["max_output_tokens"]
    reasoning = _table(body, "reasoning")
    if reasoning.get("effort") is not None:
        found["reasoning_effort"] = reasoning["effort"]
    included = _listed(body, "include")
    if body.get("top_logprobs") or "message.output_text.logprobs" in included:
        found |= {"logprobs": True, "top_logprobs": body.get("top_logprobs") or 0}
    text = _table(body, "text")
    if text.get("verbosity") is not None:
        found["verbosity"] = text["verbosity"]
    if text.get("format") is not None:
        found["response_format"] = _format(text["format"])
    return found


def _format(given: Any) -> dict[str, Any]:
    """Return the chat's `response_format`, which has the schema one level deeper."""
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        raise wrong("text.format", "an object with a `type`")
    if given["type"] != "json_schema":
        return dict(given)
    schema = {name: value for name, value in given.items() if name != "type"}
    return {"type": "json_schema", "json_schema": schema}


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = [_tool(tool, at) for at, tool in enumerate(objects(body.get("tools") or [], "tools"))]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        choice, tools = _choice(choice, tools)
    found: dict[str, Any] = {"tools": tools} if tools else {}
    return {**found, "tool_choice": choice} if choice is not None and tools else found


def _tool(tool: Mapping[str, Any], number: int) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise BadRequest(
            f"`tools[{number}]` is of the type {str(tool.get('type'))[:100]!r}. This proxy has no"
            " tools of its own: it takes functions, which the client calls.",
            param=f"tools[{number}]",
        )
    function = {name: value for name, value in tool.items() if name != "type" and value is not None}
    return {"type": "function", "function": function}


def _choice(
    choice: Mapping[str, Any], tools: list[dict[str, Any]]
) -> tuple[Any, list[dict[str, Any]]]:
    if choice.get("type") == "function":
        name = text_at(choice, "name", "tool_choice")
        return {"type": "function", "function": {"name": name}}, tools
    if choice.get("type") != "allowed_tools":
        raise wrong("tool_choice", "auto, none, required, a function, or allowed_tools")
    allowed = [tool.get("name") for tool in objects(choice.get("tools"), "tool_choice.tools")]
    return choice.get("mode", "auto"), [t for t in tools if t["function"].get("name") in allowed]


def _table(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise wrong(name, "an object")
    return found


def _listed(body: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = body.get(name)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise wrong(name, "a list")
    return found
