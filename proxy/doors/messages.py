"""Anthropic's Messages API: what a client asks there, as a chat."""

from collections.abc import Mapping
from typing import Any

import msgspec

from its.types import Message

from ..base.errors import BadRequest
from ..wire.request import Request
from . import blocks
from .translation import objects, refuse, rest, text_at, wrong

DOOR = "/v1/messages"

REFUSED: Mapping[str, str] = {
    "container": "this proxy has no containers.",
    "mcp_servers": "this proxy calls no tools. The client calls them.",
    "context_management": "this proxy never cuts a conversation. Send the messages that are to be"
    " read.",
}

_HINT = "accepted without effect: it concerns Anthropic's own service"

FIELDS: Mapping[str, str] = {
    "model": "honoured: a member or a panel",
    "messages": "honoured: thinking, tool calls and tool results too; a last message of the"
    " assistant is continued",
    "system": "honoured: becomes the system message",
    "max_tokens": "honoured, and required",
    "stream": "honoured",
    "stop_sequences": "honoured: becomes `stop`",
    "tools": "honoured: the client's own; Anthropic's server tools are a 400",
    "tool_choice": "honoured",
    "thinking": "honoured: switches `enable_thinking` of the chat template, and `disabled` sends no"
    " thinking; no engine takes its `budget_tokens`",
    "output_config": "honoured: `format` becomes `response_format`, `effort` `reasoning_effort`",
    "output_format": "honoured: as `output_config.format`",
    "metadata": "honoured: `user_id` becomes `user`",
    "input_time": "honoured, not forwarded",
    **dict.fromkeys(REFUSED, "rejected"),
    **dict.fromkeys(
        (
            "cache_control", "service_tier", "inference_geo", "speed", "diagnostics",
            "user_profile_id", "workspace_id", "betas",
        ),
        _HINT,
    ),
}  # fmt: skip
"""What becomes of each field; one that is not named is forwarded as it came."""

CONTINUES = {"continue_final_message": True, "add_generation_prompt": False}
"""SGLang, vLLM and llama.cpp go on with the last message then."""

THINKS = ("enable_thinking", "thinking")
"""What chat templates call the switch: Qwen3's and GLM's the first, DeepSeek's the second."""

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def chat(request: Request) -> dict[str, Any]:
    """Return a chat's body for a request.

    Raises:
        BadRequest: a field has the wrong shape, or means something that a chat has not.
    """
    body = request.body
    most = body.get("max_tokens")
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise BadRequest("max_tokens: a whole number above 0 is required", param="max_tokens")
    return {**_conversation(request), "max_tokens": most, **_sampling(body)}


def tokens(request: Request) -> dict[str, Any]:
    """Return the body of a `/tokenize` request for one that asks how many tokens it has.

    Raises:
        BadRequest: as `chat` does.
    """
    return _conversation(request)


def _conversation(request: Request) -> dict[str, Any]:
    body = request.body
    refuse(body, REFUSED)
    given = objects(body.get("messages"), "messages")
    if not given:
        raise wrong("messages", "a list with at least one message")
    messages: list[Message] = _system(body.get("system"))
    for number, message in enumerate(given):
        messages += blocks.to_messages(message, f"messages[{number}]")
    sent = {**rest(body, FIELDS, DOOR), "model": request.model, "messages": messages}
    sent |= _tools(body)
    if given[-1].get("role") == "assistant":
        sent |= CONTINUES
    thinking = _table(body, "thinking")
    if thinking:
        switch = dict.fromkeys(THINKS, thinking.get("type") != "disabled")
        sent["chat_template_kwargs"] = {**switch, **_table(body, "chat_template_kwargs")}
    return sent


def _system(system: Any) -> list[Message]:
    if system is None or system == "" or system == []:
        return []
    if isinstance(system, str):
        return [{"role": "system", "content": system}]
    texts = [
        text_at(each, "text", f"system[{n}]") for n, each in enumerate(objects(system, "system"))
    ]
    return [{"role": "system", "content": "\n".join(texts)}]


def _sampling(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if stops := body.get("stop_sequences"):
        if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
            raise wrong("stop_sequences", "a list of texts")
        found["stop"] = stops
    if (user := _table(body, "metadata").get("user_id")) is not None:
        found["user"] = user
    config = _table(body, "output_config")
    if config.get("effort") is not None:
        found["reasoning_effort"] = config["effort"]
    if given := config.get("format") or body.get("output_format"):
        found["response_format"] = _format(given)
    return found


def _format(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or given.get("type") != "json_schema":
        raise wrong("output_config.format", "an object of the type json_schema")
    schema = {"name": "output", "schema": given.get("schema"), "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = [_tool(tool, at) for at, tool in enumerate(objects(body.get("tools") or [], "tools"))]
    if not tools:
        return {}
    choice = _table(body, "tool_choice")
    found: dict[str, Any] = {"tools": tools}
    if choice.get("disable_parallel_tool_use") is not None:
        found["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]
    if not choice:
        return found
    if choice.get("type") == "tool":
        name = text_at(choice, "name", "tool_choice")
        return {**found, "tool_choice": {"type": "function", "function": {"name": name}}}
    kind = choice.get("type")
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise wrong("tool_choice.type", "auto, any, tool or none")
    return {**found, "tool_choice": _CHOICES[kind]}


def _tool(tool: Mapping[str, Any], number: int) -> dict[str, Any]:
    at = f"tools[{number}]"
    if tool.get("type") not in (None, "custom"):
        raise BadRequest(
            f"`{at}` is of the type {str(tool['type'])[:100]!r}. This proxy has no tools of its"
            " own: it takes tools with an `input_schema`, which the client calls.",
            param=at,
        )
    function: dict[str, Any] = {"name": text_at(tool, "name", at)}
    named = {"description": "description", "input_schema": "parameters", "strict": "strict"}
    function |= {ours: tool[name] for name, ours in named.items() if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _table(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise wrong(name, "an object")
    return found


def shows_thinking(body: Mapping[str, Any]) -> bool:
    """Tell whether a client wants to see what the model thinks."""
    thinking = body.get("thinking")
    return not isinstance(thinking, dict) or thinking.get("type") != "disabled"


def arguments_of(text: str) -> Mapping[str, Any]:
    """Return a tool call's arguments as an object, which Anthropic's shape demands.

    What is no object stands under `INVALID_JSON`, as Anthropic advises.
    """
    try:
        found = msgspec.json.decode(text or "{}")
    except (msgspec.MsgspecError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"INVALID_JSON": text}
