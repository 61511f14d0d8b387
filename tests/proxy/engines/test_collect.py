"""A streamed completion put together again."""

import json
from typing import Any

from proxy.base.outcome import Spent
from proxy.engines.collect import Collector


def collected(*deltas: Any) -> Any:
    collector = Collector(Spent(), None)
    for delta in deltas:
        body = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        collector.feed(b"data: " + json.dumps(body).encode() + b"\n\n")
    collector.feed(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
    return collector.completion()["choices"][0]["message"]


def piece(text: str, **more: Any) -> Any:
    return {"tool_calls": [{"index": 0, **more, "function": {"arguments": text}}]}


def test_tool_calls_are_joined_by_their_index() -> None:
    other = {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    message = collected(
        {"tool_calls": [first]}, piece('{"x'), {"tool_calls": [other]}, piece('": 1}'),
        {"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]},
    )  # fmt: skip
    assert message["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_calls_without_a_number_are_told_apart_by_their_ids() -> None:
    message = collected(
        {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "1"}}]},
        {"tool_calls": [{"function": {"arguments": "2"}}]},
        {"tool_calls": [{"id": "b", "function": {"name": "f", "arguments": "3"}}]},
    )
    said = [call["function"]["arguments"] for call in message["tool_calls"]]
    assert said == ["12", "3"]


def test_a_long_argument_in_small_pieces_is_joined_once() -> None:
    text = "x" * 100
    deltas = [piece(text)] * 100_000  # joined each time this would copy half a terabyte
    [call] = collected(*deltas)["tool_calls"]
    assert len(call["function"]["arguments"]) == 100 * 100_000
