"""What a client cannot do, and what an engine cannot make the proxy do."""

import json
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from proxy.engines.engine import DETAIL_LENGTH
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import Engine, fails, says, speaks, streams


def test_no_redirect_is_followed(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = lambda _: RedirectResponse("http://127.0.0.1:1/v1/chat/completions")
    answer = proxy.post(CHAT, json={"model": "n", "messages": ASK})
    assert answer.status_code == 502
    assert len(engine.received) == 1


def test_no_proxy_variable_is_read(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    engine.scripts["n"] = says("7")
    assert start().post(CHAT, json={"model": "n", "messages": ASK}).status_code == 200


@pytest.mark.parametrize(
    "field",
    ["base_url", "api_base", "endpoint", "api_key", "engine", "custom_llm_provider", "timeout"],
)
def test_no_field_chooses_an_engine(proxy: httpx.Client, engine: Engine, field: str) -> None:
    engine.scripts["n"] = says("7")
    sent = {"model": "n", "messages": ASK, field: "http://127.0.0.1:1/v1"}
    assert proxy.post(CHAT, json=sent).status_code == 200
    assert engine.received[0].body[field] == "http://127.0.0.1:1/v1", "a field like any other"


def test_a_header_cannot_be_smuggled_in(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says("7")
    odd = {"x-request-id": "a b", "traceparent": "x\tauthorization: Bearer y"}
    answer = proxy.post(CHAT, json={"model": "n", "messages": ASK}, headers=odd)
    assert answer.headers["x-request-id"] != "a b"
    assert "authorization" not in engine.received[0].headers


def test_image_parts_and_histories_stay_as_they_are(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["r"] = says("User: 7\nAssistant: 8")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    history: list[Any] = [
        {"role": "system", "content": "One."},
        {"role": "system", "content": "Two."},
        {"role": "developer", "content": "Three."},
        {"role": "user", "content": [image, {"type": "text", "text": "What is this?"}, image]},
        {"role": "assistant", "content": "User: a cat"},
        {"role": "user", "content": "Sure?"},
    ]
    answer = proxy.post(CHAT, json={"model": "r", "messages": history}).json()
    persona = answer["input_time"]["persona"]
    expected = json.loads(json.dumps(history))
    expected[3]["content"][1]["text"] = f"{persona}\n\nWhat is this?"
    assert engine.bodies("r")[0]["messages"] == expected
    assert answer["choices"][0]["message"]["content"] == "User: 7\nAssistant: 8"


VOTES = [
    ((r"\boxed{\frac{1}{2}}", r"\boxed{0.5}", r"\boxed{7}"), "s", 2),
    (("I cannot say.", r"\boxed{42}", "None of these."), "u", 1),
    ((r"User: \boxed{3}", r"\boxed{3}", r"Assistant: \boxed{4}"), "s", 2),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("texts", "winner", "votes"), VOTES)
def test_votes(
    proxy: httpx.Client,
    engine: Engine,
    texts: tuple[str, str, str],
    winner: str,
    votes: int,
    stream: bool,
) -> None:
    for name, text in zip("sur", texts, strict=True):
        engine.scripts[name] = says(text)
    sent = {"model": "vote3", "messages": ASK, "stream": stream}
    answer = proxy.post(CHAT, json=sent)
    if stream:
        told = json.loads(answer.text.split("data: ")[-2])["input_time"]
    else:
        told = answer.json()["input_time"]
        assert answer.json()["choices"][0]["message"]["content"] == texts["sur".index(winner)]
    assert (told["winner"], told["votes"][0]["votes"]) == (winner, votes)


def test_an_engines_odd_answers_break_nothing(proxy: httpx.Client, engine: Engine) -> None:
    odd: list[Any] = [
        {"choices": [None]},
        {"choices": [{"message": "x"}]},
        {"choices": [{"message": {"content": 3}}], "usage": []},
        {"choices": [{"message": {"content": ["a"]}}], "usage": {"prompt_tokens": "many"}},
        {"choices": {"0": {}}},
        [],
        None,
        "x",
        {"choices": [{"message": {"content": r"\boxed{1}"}, "finish_reason": 7}], "usage": None},
    ]
    for body in odd:
        for name in "sur":
            engine.scripts[name] = lambda _, body=body: JSONResponse(body)  # type: ignore[misc]
        answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK})
        assert answer.status_code in (200, 502), (body, answer.text)


UNREADABLE = [
    rb'{"choices": [{"message": {"content": "\xff"}}]}',
    b'{"choices": [{"message": {"content": "7"}, "logprobs": 1e999}]}',
    b'{"choices": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
]


@pytest.mark.parametrize("raw", UNREADABLE)
def test_what_cannot_be_read_is_the_engines_fault(start: Proxy, engine: Engine, raw: bytes) -> None:
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = true"))
    for name in "sur":
        engine.scripts[name] = lambda _: Response(raw, media_type="application/json")
    answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "no_quorum")
    for name in "sur":
        engine.scripts[name] = streams([b"data: " + raw + b"\n\n"])
    answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "no_quorum")
    engine.scripts["n"] = lambda _: Response(raw, 400, media_type="application/json")
    assert proxy.post(CHAT, json={"model": "n", "messages": ASK}).status_code == 400


def test_an_engines_key_is_in_no_message(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITS_TEST_ENGINE_KEY", "engine-secret")
    keyed = MEMBERS.replace("[members.n]", 'api_key = "env:ITS_TEST_ENGINE_KEY"\n[members.n]')
    proxy = start(keyed.replace("early_stop = false", "early_stop = true"))
    cut = "x" * (DETAIL_LENGTH - 9) + "engine-secret"  # its first nine letters would be left
    engine.scripts["n"] = fails(400, {"message": cut})
    assert "engine-se" not in proxy.post(CHAT, json={"model": "n", "messages": ASK}).text
    for name in "sur":
        error = json.dumps({"error": {"message": "who sent engine-secret?"}})
        engine.scripts[name] = streams([f"data: {error}\n\n".encode()])
    answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK})
    assert "who sent ***?" in answer.text
    assert "engine-secret" not in answer.text


def test_odd_chunks_break_nothing(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = true"))
    odd = ["[]", "3", '{"choices": 3}', '{"choices": [{"delta": 3}]}', "{", '{"error": "no"}']
    for piece in odd:
        for name in "sur":
            engine.scripts[name] = streams([f"data: {piece}\n\n".encode(), b"data: [DONE]\n\n"])
        answer = proxy.post(CHAT, json={"model": "vote3", "messages": ASK})
        assert answer.status_code == 502, (piece, answer.text)
    for name in "sur":
        engine.scripts[name] = speaks(r"\boxed{7}")
    assert proxy.post(CHAT, json={"model": "vote3", "messages": ASK}).status_code == 200
