"""A member is a transparent door: what arrives at the engine, and what comes back."""

import json

import httpx
import pytest
from starlette.responses import Response

from its.personas.bank import load as load_bank
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT, wait_until
from tests.scripted import (
    CHUNKS,
    Body,
    Engine,
    completion,
    fails,
    page,
    says,
    says_after,
    streams,
    streams_then_breaks,
)


def test_every_other_field_arrives_untouched(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = engine.scripts["r"] = says("7")
    history: list[Body] = [
        {"role": "system", "content": "One."},
        {"role": "developer", "content": "Two.", "unknown": {"a": [1, 2.5, None, True]}},
        {"role": "user", "content": "Say {braces} \\boxed{} \u00bd \U0001f600", "name": "bob"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {}}]},
        {"role": "tool", "content": "User: no", "tool_call_id": "1"},
    ]
    sent: Body = {
        "model": "n",
        "messages": history,
        "temperature": 0.123456789012345,
        "seed": 2**63 + 5,
        "rid": 123456789012345678901234567890,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x"}},
        "logit_bias": {"1": -100},
        "stop": None,
        "n": 2,
        "top_k": 5,
        "chat_template_kwargs": {"enable_thinking": False},
        "of_tomorrow": {"deep": [{"er": "ü"}]},
    }
    answer = proxy.post(CHAT, json={**sent, "input_time": {"seed": 3}})
    assert answer.status_code == 200, answer.text
    assert engine.bodies("n") == [sent]
    proxy.post(CHAT, json={**sent, "model": "r"})
    [arrived] = engine.bodies("r")
    persona, _, question = arrived["messages"][2]["content"].partition("\n\n")
    assert question == history[2]["content"]
    assert persona in {p.text for p in load_bank().personas}
    arrived["messages"][2]["content"] = question
    assert arrived == {**sent, "model": "r"}


def test_the_response_is_the_engines_plus_input_time(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["s"] = says("7", logprobs={"content": []})
    answer = proxy.post(CHAT, json={"model": "s", "messages": ASK}, headers={"x-request-id": "r1"})
    body = answer.json()
    input_time = body.pop("input_time")
    assert body == completion("7", logprobs={"content": []})
    assert input_time["strategy"] == "similar"
    assert input_time["source"] == "bank"
    assert input_time["co_design"] == "unverified"
    assert engine.bodies("s")[0]["messages"][0]["content"].startswith(input_time["persona"])
    assert answer.headers["x-request-id"] == "r1"
    assert answer.headers["x-input-time-strategy"] == "similar"
    assert answer.headers["x-input-time-persona-source"] == "bank"
    assert float(answer.headers["x-input-time-overhead-ms"]) < 1000
    assert engine.received[0].headers["x-request-id"] == "r1"


def test_the_persona_depends_on_the_seed_only(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["r"] = says("7")

    def persona(**extras: object) -> str:
        sent = {"model": "r", "messages": ASK, "input_time": extras}
        return str(proxy.post(CHAT, json=sent).json()["input_time"]["persona"])

    seeds = [persona(seed=seed) for seed in range(8)]
    assert seeds == [persona(seed=seed) for seed in range(8)]
    assert len(set(seeds)) > 4
    assert persona() == persona(seed=0)


def test_a_request_may_bring_its_own_persona(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["r"] = says("7")
    sent = {
        "model": "r",
        "messages": ASK,
        "input_time": {"persona": "You are {me}.", "placement": "after"},
    }
    answer = proxy.post(CHAT, json=sent).json()["input_time"]
    assert (answer["source"], answer["domain"], answer["placement"]) == ("client", None, "after")
    assert (
        engine.bodies("r")[0]["messages"][0]["content"] == f"{ASK[0]['content']}\n\nYou are {{me}}."
    )


def test_a_stream_is_the_engines_bytes(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["u"] = streams(CHUNKS, pause=0.02)
    answer = proxy.post(CHAT, json={"model": "u", "messages": ASK, "stream": True})
    assert answer.content == b"".join(CHUNKS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-input-time-strategy"] == "unsimilar"


def test_a_stream_says_input_time_when_asked(proxy: httpx.Client, engine: Engine) -> None:
    cut = b"".join(CHUNKS)
    engine.scripts["u"] = streams([cut[:30], cut[30:200], cut[200:]], pause=0.02)
    sent = {"model": "u", "messages": ASK, "stream": True, "input_time": {}}
    first, _, rest = proxy.post(CHAT, json=sent).content.partition(b"\n\n")
    assert rest == cut
    chunk = json.loads(first.removeprefix(b"data: "))
    assert chunk["id"] == "engine-1"
    assert chunk["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert chunk["input_time"]["strategy"] == "unsimilar"


@pytest.mark.parametrize("script", [streams(CHUNKS[:1]), streams_then_breaks(CHUNKS[:1])])
def test_a_broken_stream_ends_with_an_error(
    proxy: httpx.Client, engine: Engine, script: object
) -> None:
    engine.scripts["n"] = script  # type: ignore[assignment]
    got = proxy.post(CHAT, json={"model": "n", "messages": ASK, "stream": True}).content
    assert got.startswith(CHUNKS[0])
    assert b"[DONE]" not in got
    last = got.removeprefix(CHUNKS[0])
    assert last.startswith(b"event: error\ndata: ")
    assert json.loads(last.split(b"data: ")[1])["error"]["type"] == "upstream_error"


ENGINE_ERRORS = [
    (fails(400, {"message": "bad regex", "object": "error"}), 400, "bad regex"),
    (fails(429, {"error": {"message": "slow down"}}, retry_after="7"), 429, "slow down"),
    (fails(500, {"error": "oops"}), 502, "oops"),
    (fails(401, {"error": {"message": "wrong key"}}), 502, "wrong key"),
    (fails(503), 503, "no"),
    (page, 502, "something else than a chat completion"),
    (lambda _: Response(b'{"choices": [', media_type="application/json"), 502, "something else"),
    (lambda _: Response(b'{"choices": []}', media_type="application/json"), 502, "something else"),
    (lambda _: Response(b"<h1>Bad  gateway</h1>", 500), 502, "Bad gateway"),
]


@pytest.mark.parametrize(("script", "status", "message"), ENGINE_ERRORS)
def test_an_engines_error_keeps_openais_shape(
    proxy: httpx.Client, engine: Engine, script: object, status: int, message: str
) -> None:
    engine.scripts["n"] = script  # type: ignore[assignment]
    answer = proxy.post(CHAT, json={"model": "n", "messages": ASK})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert message in error["message"]
    if status == 429:
        assert answer.headers["retry-after"] == "7"


def test_a_stream_that_is_refused_is_a_status(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = fails(429)
    answer = proxy.post(CHAT, json={"model": "n", "messages": ASK, "stream": True})
    assert answer.status_code == 429
    engine.scripts["n"] = says("not a stream")
    answer = proxy.post(CHAT, json={"model": "n", "messages": ASK, "stream": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_protocol")


def test_a_dead_engine_is_502_and_its_address_stays_unsaid(start: Proxy) -> None:
    proxy = start(MEMBERS.replace("{engine}", "http://127.0.0.1:9"))
    answer = proxy.post(CHAT, json={"model": "n", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_refused")
    assert "127.0.0.1" not in answer.text
    assert proxy.get("/health").status_code == 200
    assert proxy.get("/ready").status_code == 503


def test_a_slow_engine_is_504(start: Proxy, engine: Engine) -> None:
    engine.scripts["n"] = says_after(5, "late")
    proxy = start(MEMBERS.replace("[members.n]", "timeout_s = 0.2\n[members.n]"))
    answer = proxy.post(CHAT, json={"model": "n", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "engine_timeout")
    assert answer.headers["x-should-retry"] == "false"


def test_an_engines_key_goes_to_it_and_nowhere_else(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITS_TEST_ENGINE_KEY", "engine-secret")
    key = 'api_key = "env:ITS_TEST_ENGINE_KEY"\n[members.n]'
    proxy = start(MEMBERS.replace("[members.n]", key))
    engine.scripts["n"] = fails(500, {"error": "bad key engine-secret"})
    sent = {"model": "n", "messages": ASK}
    answer = proxy.post(CHAT, json=sent, headers={"authorization": "Bearer client-secret"})
    assert engine.received[0].headers["authorization"] == "Bearer engine-secret"
    assert "client-secret" not in str(engine.received[0].headers)
    assert "engine-secret" not in answer.text + str(answer.headers)


def test_a_client_that_leaves_frees_the_engine(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says_after(20, "nobody waits")
    with pytest.raises(httpx.ReadTimeout):
        proxy.post(CHAT, json={"model": "n", "messages": ASK}, timeout=0.3)
    wait_until(lambda: engine.running == 0)
    assert engine.left == 1
