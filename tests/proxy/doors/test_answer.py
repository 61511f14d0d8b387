"""Whatever an engine sends and however its stream is cut: every door writes whole blocks of it."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.doors.answer import AnswerWriter
from proxy.doors.completions import CompletionAnswer
from proxy.doors.message_answer import MessageAnswer
from proxy.doors.response_answer import ResponseAnswer
from tests.conftest import longer
from tests.proxy.doors.shapes import events_of
from tests.scripted import chunk

WRITERS: dict[str, Callable[[], AnswerWriter]] = {
    "responses": lambda: ResponseAnswer("m", {}, lambda response: None),
    "summaries": lambda: ResponseAnswer(
        "m", {"reasoning": {"summary": "auto"}}, lambda response: None
    ),
    "messages": lambda: MessageAnswer("m", thinking=True),
    "hidden": lambda: MessageAnswer("m", thinking=False),
    "completions": lambda: CompletionAnswer("m", usage=True),
}
EXAMPLES = longer(40, 500)

TEXTS = st.text("ab\n\u2028{}", max_size=4)
PIECES = st.fixed_dictionaries(
    {"index": st.integers(0, 2)},
    optional={
        "id": st.sampled_from(["a", "b"]),
        "function": st.fixed_dictionaries({}, optional={"name": TEXTS, "arguments": TEXTS}),
    },
)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": TEXTS, "reasoning_content": TEXTS, "refusal": TEXTS,
        "tool_calls": st.lists(PIECES, max_size=2),
    },
)  # fmt: skip


def streamed(writer: AnswerWriter, raw: bytes, cuts: list[int]) -> bytes:
    """Return what a writer sends for a stream that arrives in pieces."""
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[begin:end] for begin, end in pairwise(places)]
    return b"".join([writer.feed(piece) for piece in pieces if piece]) + writer.close()


def said_in(deltas: list[dict[str, Any]], name: str) -> str:
    return "".join(delta.get(name, "") for delta in deltas)


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(st.lists(DELTAS, max_size=8), st.lists(st.integers(0, 2000), max_size=5))
def test_a_stream_says_all_that_the_engine_said(
    deltas: list[dict[str, Any]], cuts: list[int]
) -> None:
    raw = b"".join([*(chunk(delta=delta) for delta in deltas), chunk(finish_reason="stop")])
    raw += b"data: [DONE]\n\n"
    writer = WRITERS["responses"]()
    events = events_of(streamed(writer, raw, cuts).decode())
    output = events[-1][1]["response"]["output"]
    done = [body["item"] for name, body in events if name.endswith("output_item.done")]
    assert done == output
    for name, kind in (("content", "output_text"), ("reasoning_content", "reasoning_text")):
        parts = [part for item in output for part in item.get("content", ())]
        texts = "".join(part["text"] for part in parts if part["type"] == kind)
        assert texts == said_in(deltas, name)
    arguments = "".join(item["arguments"] for item in output if item["type"] == "function_call")
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls", ())]
    given_ = "".join(piece.get("function", {}).get("arguments", "") for piece in pieces)
    assert sorted(arguments) == sorted(given_)


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(st.lists(DELTAS, max_size=8), st.lists(st.integers(0, 2000), max_size=5))
def test_blocks_of_a_message_never_overlap(deltas: list[dict[str, Any]], cuts: list[int]) -> None:
    raw = b"".join([*(chunk(delta=delta) for delta in deltas), chunk(finish_reason="stop")])
    for kind in ("messages", "hidden"):
        events = events_of(streamed(WRITERS[kind](), raw, cuts).decode())
        open_, number = None, 0
        for name, body in events:
            if name == "content_block_start":
                assert open_ is None
                assert body["index"] == number
                open_, number = number, number + 1
            elif name == "content_block_delta":
                assert body["index"] == open_
            elif name == "content_block_stop":
                assert body["index"] == open_
                open_ = None
        assert [name for name, _ in events[-2:]] == ["message_delta", "message_stop"]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from([
            "choices", "message", "delta", "content", "tool_calls", "function", "arguments", "name",
            "id", "index", "usage", "finish_reason", "prompt_tokens", "logprobs", "input_time",
            "error", "text", "type", "object", "refusal", "reasoning_content",
            "prompt_tokens_details",
        ]),
        inner,
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(st.lists(ANY, min_size=1, max_size=4), ANY)
def test_nothing_that_an_engine_sends_is_a_fault(kind: str, bodies: list[Any], choice: Any) -> None:
    for body in [*bodies, {"choices": [choice]}, {"choices": [{"message": choice}]}]:
        json.dumps(WRITERS[kind]().whole(body if isinstance(body, dict) else {}))
    chunks = [*bodies, {"choices": [{"delta": choice}]}, {"choices": [choice]}]
    raw = b"".join([b"data: %s\n\n" % json.dumps(each).encode() for each in chunks])
    streamed(WRITERS[kind](), raw + b"data: {\n\ndata: [1]\n\n", [7])


def test_comments_beside_data_hide_none_of_it() -> None:
    writer = WRITERS["messages"]()
    raw = b": waiting\n\n" + chunk(delta={"content": "7"})
    assert b'"text":"7"' in writer.feed(raw)
    assert writer.feed(b": waiting\n\n") == writer.PING
