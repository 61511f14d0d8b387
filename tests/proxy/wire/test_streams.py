"""Engines' streams in all their shapes, and what of them a client gets."""

import json
import re
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse, Response, StreamingResponse

from proxy.wire import watch
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import (
    CHUNKS,
    Body,
    Engine,
    Script,
    chunk,
    completion,
    says,
    speaks,
    streams,
    streams_then_breaks,
)

EARLY = MEMBERS.replace("early_stop = false", "early_stop = true")
SAID = chunk(delta={"content": r"\boxed{1}"})
STOP = chunk(finish_reason="stop")
USED = chunk(usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})


def ask(proxy: httpx.Client, model: str = "n", **more: Any) -> httpx.Response:
    return proxy.post(CHAT, json={"model": model, "messages": ASK, "stream": True, **more})


def pieces(raw: bytes, size: int) -> list[bytes]:
    return [raw[n : n + size] for n in range(0, len(raw), size)]


# The end of a stream -------------------------------------------------------------------------

COMPLETE = [
    [SAID, STOP],
    [SAID, STOP, USED],
    [SAID, STOP.replace(b'": "stop', b'" : \n "stop').replace(b'\n "', b' "')],
    [SAID, STOP.replace(b'": "', b'":"')],
    [chunk(delta={"content": "1"}, finish_reason="length")],
    [SAID, STOP, b": a comment\n\n"],
]
CUT = [
    [],
    [SAID],
    [SAID, chunk(finish_reason="")],
    [chunk(delta={"content": '"finish_reason": "stop"'})],
    [chunk(delta={"content": '{"finish_reason":"stop"}\n\ndata: [DONE]\n\n'})],
    [chunk(delta={"content": '\\"finish_reason": "stop"'})],
    [SAID, STOP[:-30]],
]


@pytest.mark.parametrize("ended", COMPLETE, ids=range(len(COMPLETE)))
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_finish_reason_completes_a_stream(
    proxy: httpx.Client, engine: Engine, ended: list[bytes], end: bytes, size: int
) -> None:
    raw = b"".join(ended).replace(b"\n", end)
    engine.scripts["n"] = streams(pieces(raw, size))
    assert ask(proxy).content == raw


def test_comments_behind_an_error_event_do_not_hide_it() -> None:
    seen = watch.Watch(watch.CHAT)
    for piece in (SAID, ERRORS[0], b": keep-alive\n\n", b": keep-alive\n\n"):
        seen.see(piece)
    assert seen.failed
    seen.see(SAID)
    assert not seen.failed


@pytest.mark.parametrize("cut", CUT, ids=range(len(CUT)))
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_without_one_it_was_cut(
    proxy: httpx.Client, engine: Engine, cut: list[bytes], size: int
) -> None:
    raw = b"".join(cut)
    engine.scripts["n"] = streams(pieces(raw, size))
    got = ask(proxy).content
    assert got.startswith(raw)
    assert got.count(b"event: error") == 1


def test_what_breaks_behind_a_finish_reason_is_no_fault(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    for name in "nsur":
        engine.scripts[name] = streams_then_breaks([SAID, STOP])
    assert ask(proxy).content == SAID + STOP
    assert ask(proxy, "vote3", stream=False).status_code == 200


@pytest.mark.parametrize(("n", "finished", "whole"), [(2, 1, False), (2, 2, True), (1, 1, True)])
def test_every_choice_must_finish(
    proxy: httpx.Client, engine: Engine, n: int, finished: int, whole: bool
) -> None:
    ends = [chunk(index=index, finish_reason="stop") for index in range(finished)]
    raw = b"".join([SAID, chunk(index=1, delta={"content": "2"}), *ends, ends[0]])
    engine.scripts["n"] = streams(pieces(raw, 11))
    assert (ask(proxy, n=n).content == raw) is whole


def test_each_prompt_of_a_list_must_finish(proxy: httpx.Client, engine: Engine) -> None:
    ends = [
        b'data: {"choices":[{"index":%d,"text":"","finish_reason":"stop"}]}\n\n' % index
        for index in range(4)
    ]
    sent = {"model": "n", "prompt": ["3?", "4?"], "n": 2, "stream": True}
    for number in (3, 4):
        engine.scripts["n"] = streams(ends[:number])
        content = proxy.post("/v1/completions", json=sent).content
        assert (b"event: error" in content) is (number < 4)


ERRORS = [
    b'event: error\ndata: {"error": {"message": "out of memory"}}\n\n',
    b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
    b'data: {"object": "error", "message": "out of memory", "code": 400}\n\n',
    b'data: {"type": "error", "message": "out of memory"}\r\n\r\n',
    b'data: {"error": "out of memory"}',
    b'data: {"error": {"message": "out of memory"}}\n\n: keep-alive\n\n',
]


@pytest.mark.parametrize("error", ERRORS, ids=range(len(ERRORS)))
@pytest.mark.parametrize("size", [1, 10_000])
def test_an_engines_error_event_is_sent_once(
    proxy: httpx.Client, engine: Engine, error: bytes, size: int
) -> None:
    raw = SAID + error
    engine.scripts["n"] = streams(pieces(raw, size))
    assert ask(proxy).content == raw


TRICKY = st.text(st.sampled_from('\\":\n\r ,{}[]') | st.sampled_from("abé\u2028"), max_size=6)
TEXTS = st.one_of(
    TRICKY,
    st.just('"finish_reason": "stop"'),
    st.just("\ndata: [DONE]"),
    st.just('data: [DONE]\\"finish_reason":"x"'),
)
EVENTS = st.one_of(
    st.tuples(TEXTS, st.sampled_from([None, None, "", "stop"]), st.booleans()),
    st.sampled_from(["data: [DONE]", "data:[DONE]", ": [DONE]", "event: [DONE]"]),
)


def written(event: Any, end: str) -> str:
    if isinstance(event, str):
        return event + end + end
    text, reason, spaced = event
    choice = {"index": 0, "finish_reason": reason, "delta": {"content": text}}
    separators = (", ", ": ") if spaced else (",", ":")
    return f"data: {json.dumps({'choices': [choice]}, separators=separators)}{end}{end}"


@given(
    events=st.lists(EVENTS, max_size=6),
    end=st.sampled_from(["\n", "\r", "\r\n"]),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_the_end_is_seen_however_the_stream_is_cut(
    events: list[Any], end: str, cuts: list[int]
) -> None:
    raw = "".join(written(event, end) for event in events).encode()
    ended = any(
        event.startswith("data:") if isinstance(event, str) else bool(event[1]) for event in events
    )
    places = sorted(min(cut, len(raw)) for cut in cuts)
    for pieces in ([raw], [raw[a:b] for a, b in pairwise([0, *places, len(raw)])]):
        seen = watch.Watch(watch.CHAT)
        for piece in filter(None, pieces):
            seen.see(piece)
        assert seen.ended is ended
        assert not seen.failed


def test_a_text_that_says_done_ends_no_stream_wherever_it_is_cut() -> None:
    text = "a" * 100 + "data: [DONE]" + 'event: response.completed {"finish_reason": "x"}' * 2
    raw = written((text, None, True), "\n").encode()
    for kind in (watch.CHAT, watch.COMPLETIONS):
        for cut in range(1, len(raw)):
            for then in (cut + 1, cut + 40):
                seen = watch.Watch(kind)
                for piece in filter(None, (raw[:cut], raw[cut:then], raw[then:])):
                    seen.see(piece)
                assert not seen.ended, (kind, cut, then)


# A panel's members ---------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 10_000])
def test_a_panel_reads_them_too(start: Proxy, engine: Engine, end: bytes, size: int) -> None:
    proxy = start(EARLY)
    odd = chunk(delta={"content": "\u2028\u0085 is "}).decode().encode()
    raw = b"".join([odd, SAID, STOP]).replace(b"\n", end)
    for name in "sur":
        engine.scripts[name] = streams(pieces(raw, size))
    body = ask(proxy, "vote3", stream=False).json()
    assert body["choices"][0]["message"]["content"] == "\u2028\u0085 is \\boxed{1}"


def typed(media_type: str | None, *chunks: bytes) -> Script:
    async def events() -> Any:
        for each in chunks:
            yield each

    return lambda _: StreamingResponse(events(), media_type=media_type)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-ndjson", None])
def test_a_stream_may_have_another_content_type(
    start: Proxy, engine: Engine, kind: str | None
) -> None:
    proxy = start(EARLY)
    for name in "nsur":
        engine.scripts[name] = typed(kind, b"\r\n", *CHUNKS)
    answer = ask(proxy)
    assert answer.content == b"\r\n" + b"".join(CHUNKS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    answer = ask(proxy, "vote3", stream=False)
    assert answer.json()["choices"][0]["message"]["content"] == "42"


def test_what_is_no_stream_is_an_error(proxy: httpx.Client, engine: Engine) -> None:
    bodies: list[tuple[Any, str]] = [
        ({"error": {"message": "no memory"}}, "did not stream: no memory"),
        (completion("a private answer"), "did not stream"),
        ([], "did not stream"),
    ]
    for body, told in bodies:
        engine.scripts["n"] = lambda _, body=body: JSONResponse(body)  # type: ignore[misc]
        answer = ask(proxy)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (502, "engine_protocol")
        assert error["message"].endswith(told)
    engine.scripts["n"] = lambda _: Response(b"")
    assert ask(proxy).json()["error"]["code"] == "engine_protocol"


def test_a_panel_takes_a_whole_answer_to_a_streamed_call(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    for name in "sur":
        engine.scripts[name] = says(r"\boxed{1}")
    assert ask(proxy, "vote3", stream=False).json()["input_time"]["votes"][0]["answer"] == "1"


# A panel's own stream ------------------------------------------------------------------------

TOOL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGES: list[tuple[Body, list[list[str]]]] = [
    ({"content": "1", "reasoning_content": "hm"}, [["reasoning_content"], ["content"]]),
    ({"content": "1", "reasoning": "hm"}, [["reasoning"], ["content"]]),
    ({"content": "1", "reasoning_content": None}, [["content"]]),
    (
        {"content": "1", "reasoning": "hm", "tool_calls": [TOOL]},
        [["reasoning"], ["content"], ["tool_calls"]],
    ),
    ({"content": None, "tool_calls": [TOOL]}, [["tool_calls"]]),
    ({"content": "1", "refusal": None}, [["content"]]),
]


@pytest.mark.parametrize(("message", "chunks"), MESSAGES, ids=range(len(MESSAGES)))
def test_reasoning_content_and_calls_come_apart(
    proxy: httpx.Client, engine: Engine, message: Body, chunks: list[list[str]]
) -> None:
    for name in "sur":
        engine.scripts[name] = says(None, message={"role": "assistant", **message})
    events = re.findall(rb"data: (\{.*\})\n\n", ask(proxy, "vote3").content)
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events]
    filled = [[name for name, value in delta.items() if value] for delta in deltas[1:-1]]
    assert filled == chunks


def test_the_leaders_reasoning_may_be_called_so(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY + 'stream_mode = "leader"')
    thoughts = [chunk(delta={"reasoning": f"{n} "}) for n in range(4)]
    engine.scripts["s"] = streams([*thoughts, SAID, STOP], pause=0.05)
    engine.scripts["u"] = engine.scripts["r"] = speaks(r"\boxed{1}")
    content = ask(proxy, "vote3").content
    shown = re.findall(rb'"reasoning_content":"(\d) "', content)
    assert shown == [b"0", b"1", b"2", b"3"]
    assert b'"reasoning":' not in content, "it is not said again with the verdict"


# `input_time`, told once ---------------------------------------------------------------------


def told(content: bytes) -> list[Any]:
    events = re.findall(rb"data: (\{.*\})", content)
    return [body["input_time"] for body in map(json.loads, events) if "input_time" in body]


INNER = {"strategy": "none", "inner": True}


def inner_chunk(at: int) -> list[bytes]:
    bodies = [json.loads(each[6:]) for each in CHUNKS[:2]]
    bodies[at]["input_time"] = INNER
    return [b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies] + CHUNKS[2:]


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("size", [1, 9, 10_000])
def test_a_stream_tells_it_once(proxy: httpx.Client, engine: Engine, at: int, size: int) -> None:
    raw = b"".join(inner_chunk(at))
    engine.scripts["r"] = streams(pieces(raw, size))
    assert ask(proxy, "r").content == raw, "not asked for: the engine's bytes"
    content = ask(proxy, "r", input_time={}).content
    [only] = told(content)
    assert only["strategy"] == "random"
    assert only.get("engine") == (INNER if at == 0 else None)
    assert content.endswith(b"data: [DONE]\n\n")
    texts = [json.loads(e)["choices"][0].get("delta", {}).get("content", "")
             for e in re.findall(rb"data: (\{.*\})", content)]  # fmt: skip
    assert "".join(texts) == "42"


def test_a_chain_of_proxies_tells_it_once(start: Proxy, engine: Engine) -> None:
    inner = start(EARLY)
    for name in "nsur":
        engine.scripts[name] = speaks(r"\boxed{1}")
    chained = EARLY.replace("{engine}", str(inner.base_url).rstrip("/"))
    outer = start(chained.replace('model = "s"', 'model = "vote3"'))
    body = ask(outer, "s", stream=False).json()
    assert body["input_time"]["engine"]["method"] == "majority"
    assert ask(outer, "s", stream=False).text.count('"input_time"') == 1
    asked: list[dict[str, Any]] = [{}, {"input_time": {}}]
    for more in asked:
        [only] = told(ask(outer, "s", **more).content)
        assert only["method"] == "majority", "the inner panel's, which comes with its verdict"
    assert len(told(ask(outer, "n", input_time={}).content)) == 1


def test_the_first_chunk_may_be_long() -> None:
    introduction = watch.Introduction({"a": 1}, watch.CHAT)
    assert introduction.take(b'data: {"x": "') is None
    for _ in range(100_000):  # joined each time this would copy a hundred gigabytes
        assert introduction.take(b"0123456789" * 2) is None
    begun = introduction.take(b'"}\n\n')
    assert begun is not None
    assert begun.count(b'"input_time":{"a":1}') == 1
