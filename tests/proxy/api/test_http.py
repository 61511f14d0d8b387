"""Requests that cannot be served, and the endpoints around the chat."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT, JSON
from tests.scripted import Engine, says

USER = '{"role": "user", "content": "x"}'
BAD = [
    (b"{", None),
    (b"[]", None),
    (b"\xff", None),
    (b'{"model": "n", "messages": [' + USER.encode() + b'], "x": 1e400}', None),
    (b'{"model": "n", "messages": [{"role": "user", "content": "\\ud800"}]}', None),
    (b"[" * 100_000, None),
    (b'{"messages": [' + USER.encode() + b"]}", "model"),
    (b'{"model": 3, "messages": []}', "model"),
    (b'{"model": "n"}', "messages"),
    (b'{"model": "n", "messages": []}', "messages"),
    (b'{"model": "n", "messages": ["x"]}', "messages[0]"),
    (b'{"model": "n", "messages": [{"role": "user", "content": null}]}', "messages[0].content"),
    (b'{"model": "n", "messages": [{"role": "user"}]}', "messages[0].content"),
    (b'{"model": "n", "messages": [{"role": "user", "content": 3}]}', "messages[0].content"),
    (
        b'{"model": "n", "messages": [{"role": "user", "content": [{"type": "text"}]}]}',
        "messages[0].content[0].text",
    ),
    (b'{"model": "n", "stream": "yes", "messages": [' + USER.encode() + b"]}", "stream"),
    (b'{"model": "n", "seed": true, "messages": [' + USER.encode() + b"]}", "seed"),
    (b'{"model": "n", "input_time": 1, "messages": [' + USER.encode() + b"]}", "input_time"),
    (
        b'{"model": "n", "input_time": {"sed": 1}, "messages": [' + USER.encode() + b"]}",
        "input_time",
    ),
    (
        b'{"model": "n", "input_time": {"persona": "p"}, "messages": [' + USER.encode() + b"]}",
        "input_time.persona",
    ),
    (
        b'{"model": "n", "input_time": {"samples": 2}, "messages": [' + USER.encode() + b"]}",
        "input_time.samples",
    ),
    (b'{"model": "s", "messages": [{"role": "system", "content": "x"}]}', "messages"),
]


@pytest.mark.parametrize(("body", "param"), BAD)
def test_a_bad_request_is_400(
    proxy: httpx.Client, engine: Engine, body: bytes, param: str | None
) -> None:
    answer = proxy.post(CHAT, content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert engine.received == []


def test_an_unknown_model_is_404(proxy: httpx.Client) -> None:
    answer = proxy.post(CHAT, json={"model": "gpt", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_a_large_body_is_413(start: Proxy) -> None:
    proxy = start("[server]\nmax_body_mb = 0.1\n" + MEMBERS)
    answer = proxy.post(CHAT, content=b"x" * 200_000, headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_other_paths_and_methods(proxy: httpx.Client) -> None:
    assert proxy.get("/v1/files").status_code == 404
    assert proxy.get("/v1/files").json()["error"]["code"] == "not_found"
    assert proxy.get(CHAT).status_code == 405
    assert proxy.get(CHAT).headers["allow"] == "POST"
    assert proxy.get(CHAT).headers["x-request-id"]


def test_models_say_how_they_are_asked(proxy: httpx.Client) -> None:
    cards = {card["id"]: card for card in proxy.get("/v1/models").json()["data"]}
    assert list(cards) == ["n", "s", "u", "r", "vote3"]
    assert cards["s"]["input_time"]["strategy"] == "similar"
    assert cards["s"]["input_time"]["co_design"] == "unverified"
    members = cards["vote3"]["input_time"]["members"]
    assert [member["strategy"] for member in members] == ["similar", "unsimilar", "random"]
    assert proxy.get("/v1/models/vote3").json() == cards["vote3"]
    assert proxy.get("/v1/models/x/y").status_code == 404


def test_compose_shows_what_would_be_asked(proxy: httpx.Client, engine: Engine) -> None:
    sent = {"model": "u", "messages": ASK, "input_time": {"seed": 4}}
    shown = proxy.post("/v1/input_time/compose", json=sent).json()
    assert engine.received == []
    engine.scripts["u"] = says("1")
    proxy.post(CHAT, json=sent)
    assert engine.bodies("u")[0]["messages"] == shown["messages"]
    panel = proxy.post("/v1/input_time/compose", json={**sent, "model": "vote3"}).json()
    assert [member["model"] for member in panel["members"]] == ["s", "u", "r"]
    assert panel["members"][1] == shown


def test_health_is_open_and_says_nothing(proxy: httpx.Client) -> None:
    assert proxy.get("/health").json() == {"status": "ok"}
    assert proxy.get("/ready").json() == {"status": "ready", "engines": {"e": True}}


def test_ready_looks_at_engines_once_a_second(proxy: httpx.Client, engine: Engine) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: proxy.get("/ready"), range(40)))
    assert [answer.status_code for answer in answers] == [200] * 40
    assert 1 <= engine.looks <= 1 + time.monotonic() - began
    looks = engine.looks
    time.sleep(1.1)
    assert proxy.get("/ready").status_code == 200
    assert engine.looks == looks + 1, "what is old is not told"


KEYS = """
[keys.alice]
secret = "env:ITS_TEST_ALICE"
[keys.bob]
secret = "env:ITS_TEST_BOB"
models = ["n"]
"""


def test_keys_say_who_may_ask_what(
    start: Proxy, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITS_TEST_ALICE", "a-secret")
    monkeypatch.setenv("ITS_TEST_BOB", "b-secret")
    proxy = start(MEMBERS + KEYS)
    engine.scripts["n"] = engine.scripts["r"] = says("1")

    def ask(model: str, key: str | None) -> int:
        headers = {"authorization": key} if key else {}
        answer = proxy.post(CHAT, json={"model": model, "messages": ASK}, headers=headers)
        assert "secret" not in answer.text
        return answer.status_code

    assert ask("n", None) == 401
    assert ask("n", "Bearer wrong") == 401
    assert ask("n", "Basic a-secret") == 401
    assert ask("r", "Bearer a-secret") == 200
    assert ask("n", "Bearer b-secret") == 200
    assert ask("r", "Bearer b-secret") == 404
    assert "secret" not in str([received.headers for received in engine.received])
    assert proxy.get("/v1/models").status_code == 401
    bob = proxy.get("/v1/models", headers={"authorization": "Bearer b-secret"}).json()
    assert [card["id"] for card in bob["data"]] == ["n"]
    assert proxy.get("/health").status_code == 200
