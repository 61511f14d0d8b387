"""Whatever stands in a field, a door takes it or refuses it with a 400: nothing is a fault."""

import copy
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec
import pytest

from proxy.api.doors import DOORS, as_chat
from proxy.base.errors import BadRequest
from proxy.base.record import Record
from proxy.config.settings import Limits
from proxy.doors.kept import Kept
from tests.proxy.doors.shapes import MESSAGES, RESPONSES

Path: TypeAlias = tuple[str | int, ...]

LIMITS = Limits(1_000_000, 1000, 64, 1.0, 1.0, 0, 0.0)
JUNK: list[Any] = [
    None, True, 0, 3, 1.5, 2**60, "", "x", "\x00", [], [[]], [None], [1], ["a"], {}, {"a": 1},
    {"type": []}, {"type": {}}, {"role": []}, {"type": "x"},
]  # fmt: skip
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
TEXT = {"type": "text", "text": "x"}
SCHEMA = {"type": "json_schema", "name": "a", "schema": {"type": "object"}}

ASKED: list[tuple[str, dict[str, Any]]] = [
    (RESPONSES, {
        "model": "m", "input": "q", "instructions": "i", "tools": [FUNCTION],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "f"}]},
        "include": ["reasoning.encrypted_content"], "top_logprobs": 1, "store": True,
        "reasoning": {"effort": "low", "summary": "auto"}, "metadata": {"a": "b"},
        "text": {"format": SCHEMA, "verbosity": "low"}, "truncation": "disabled",
        "previous_response_id": None, "stream": False, "stream_options": {}, "seed": 1,
    }),
    (RESPONSES, {
        "model": "m", "tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"},
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "data:,x", "detail": "low"},
                {"type": "input_file", "file_data": "x", "filename": "f"},
                {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
            ]},
            {"type": "reasoning", "summary": [TEXT], "content": [TEXT], "encrypted_content": "x"},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "yes"}, {"type": "refusal", "refusal": "no"},
            ]},
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c", "output": [TEXT]},
        ],
    }),
    (MESSAGES, {
        "model": "m", "max_tokens": 9, "system": [TEXT], "tools": [TOOL], "stop_sequences": ["x"],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "metadata": {"user_id": "u"},
        "output_config": {"format": SCHEMA, "effort": "low"}, "chat_template_kwargs": {"a": 1},
        "messages": [
            {"role": "user", "content": [
                TEXT,
                {"type": "image", "source": {"type": "base64", "media_type": "a/b", "data": "x"}},
                {"type": "document", "title": "t", "source": {"type": "text", "data": "x"}},
                {"type": "search_result", "title": "t", "source": "s", "content": [TEXT]},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t"}, {"type": "redacted_thinking", "data": "x"},
                TEXT, {"type": "tool_use", "id": "i", "name": "f", "input": {"a": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "i", "is_error": True, "content": [TEXT]},
            ]},
        ],
    }),
]  # fmt: skip


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in a JSON value."""
    if path:
        yield path
    keys = value if isinstance(value, dict) else range(len(value)) if type(value) is list else ()
    for key in keys:
        yield from places(value[key], (*path, key))


def changed(body: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    found: Any = copy.deepcopy(body)
    at = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return dict(found)


async def _send(message: Any) -> None:
    raise AssertionError("nothing is sent")


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "body"), ASKED)
async def test_nothing_in_a_field_is_a_fault(path: str, body: dict[str, Any]) -> None:
    door, kept, record = DOORS[path], Kept(), Record([], _send)
    as_chat(door, kept, record, msgspec.json.encode(body), LIMITS)
    for place in places(body):
        for junk in JUNK:
            raw = msgspec.json.encode(changed(body, place, junk))
            with suppress(BadRequest):
                as_chat(door, kept, record, raw, LIMITS)
