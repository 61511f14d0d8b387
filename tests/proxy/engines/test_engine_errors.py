"""What an engine refuses: how a client sees it, and how often an engine is asked for one call."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import openai
import pytest
from starlette.responses import JSONResponse, Response

from proxy.engines.stream_options import LEVELS, MOST_VAIN
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT
from tests.scripted import NO_TLS, Body, Engine, Script, completion, fails, says, speaks

EARLY = MEMBERS.replace("early_stop = false", "early_stop = true")
PATIENT = "[server]\nretry_seconds = 1\n"
LONG: Body = {
    "error": {
        "message": "maximum context length is 4096 tokens",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}


def ask(proxy: httpx.Client, model: str = "n", **more: Any) -> httpx.Response:
    return proxy.post(CHAT, json={"model": model, "messages": ASK, **more})


def all_say(engine: Engine, script: Script) -> None:
    for name in "nsur":
        engine.scripts[name] = script


# An engine's own words -----------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["n", "vote3"])
@pytest.mark.parametrize("status", [400, 404, 413, 422, 451])
def test_a_4xx_keeps_its_code_type_and_param(
    start: Proxy, engine: Engine, model: str, status: int, stream: bool
) -> None:
    proxy = start(EARLY)
    all_say(engine, fails(status, LONG))
    answer = ask(proxy, model, stream=stream)
    assert answer.status_code == status
    error = answer.json()["error"]
    kept = {name: error[name] for name in ("type", "param", "code")}
    assert kept == {name: LONG["error"][name] for name in kept}
    assert "4096" in error["message"]


FLAT = {"object": "error", "message": "no", "type": "BadRequestError", "param": None, "code": 400}
TOLD: list[tuple[Any, dict[str, Any]]] = [
    (FLAT, {"type": "BadRequestError", "param": None, "code": 400}),
    ({"error": {"message": "no"}}, {"type": "upstream_error", "code": "engine_status"}),
    ({"error": {"code": {"a": 1}, "type": ["x"], "param": 3}}, {"code": "engine_status"}),
    ({"error": {"code": True, "type": "t" * 5000}}, {"type": "upstream_error"}),
    ({"error": "no"}, {"code": "engine_status"}),
    ({"error": "no", "code": "c"}, {"code": "c"}),
    ([LONG], LONG["error"] | {"message": "engine 'e' answered 400: " + LONG["error"]["message"]}),
    ({"detail": {"message": "no", "code": "c"}}, {"code": "c"}),
    ([], {"code": "engine_status"}),
    ({"detail": [{"loc": ["body"], "msg": "no"}]}, {"code": "engine_status"}),
    ("no", {"code": "engine_status"}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), TOLD, ids=range(len(TOLD)))
def test_errors_of_other_shapes(
    proxy: httpx.Client, engine: Engine, body: Any, expected: dict[str, Any]
) -> None:
    all_say(engine, fails(400, body))
    error = ask(proxy).json()["error"]
    assert expected.items() <= error.items()
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("status", [401, 402, 403, 405, 500])
@pytest.mark.parametrize("model", ["n", "vote3"])
def test_what_is_no_fault_of_the_client_is_502(
    proxy: httpx.Client, engine: Engine, status: int, model: str
) -> None:
    all_say(engine, fails(status, LONG))
    answer = ask(proxy, model)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (502, "engine_status")
    assert error["type"] == "upstream_error"


PACE = {"x_ratelimit_remaining_requests": "7", "x_ratelimit_reset_tokens": "6m0s"}


def test_a_clients_pace_is_told(start: Proxy, engine: Engine) -> None:
    proxy = start(PATIENT + EARLY)
    more = {"retry_after": "20", "retry_after_ms": "19500", "x_other": "no", **PACE}
    all_say(engine, fails(429, LONG, **more))
    for model in ("n", "vote3"):
        headers = ask(proxy, model).headers
        told = {name.replace("_", "-"): value for name, value in more.items() if name != "x_other"}
        assert told.items() <= dict(headers).items()
        assert "x-other" not in headers
    pace = {name.replace("_", "-"): value for name, value in PACE.items()}
    engine.scripts["n"] = lambda _: JSONResponse(completion("7"), headers=pace)
    assert pace.items() <= dict(ask(proxy).headers).items()
    said = speaks("7")
    engine.scripts["n"] = lambda body: _with(said(body), pace)
    assert pace.items() <= dict(ask(proxy, stream=True).headers).items()
    engine.scripts["n"] = lambda _: JSONResponse({"data": []}, headers=pace)
    answer = proxy.post("/v1/embeddings", json={"model": "n", "input": "x"})
    assert pace.items() <= dict(answer.headers).items()


def _with(response: Response, headers: dict[str, str]) -> Response:
    response.headers.update(headers)
    return response


def test_a_panel_tells_the_longest_wait(start: Proxy, engine: Engine) -> None:
    proxy = start(PATIENT + MEMBERS)
    for name, seconds in zip("sur", ("20", "40", "30"), strict=True):
        engine.scripts[name] = fails(429, retry_after=seconds)
    assert ask(proxy, "vote3").headers["retry-after"] in {"40", "30"}, "the third may be given up"


# How often an engine is asked for one call of the SDK ----------------------------------------

IN_A_MINUTE = {"retry_after": "60"}
SOON = {"retry_after_ms": "1"}


def turns(*scripts: Script) -> Script:
    """Say one after the other, the last for ever."""
    left = list(scripts)
    return lambda body: (left.pop(0) if len(left) > 1 else left[0])(body)


STUBBORN: list[Script] = [
    fails(429, **SOON),
    fails(429, retry_after="0"),
    fails(429),
    fails(503, **SOON),
    fails(500),
    fails(409),
    fails(408),
    fails(502, **SOON),
]


@pytest.fixture
def sdk(start: Proxy) -> Iterator[openai.OpenAI]:
    proxy = start("[server]\nretry_seconds = 3\n" + EARLY)
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    url = f"{proxy.base_url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", http_client=http) as client:
        yield client


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK and us wait for less: only the number of calls matters."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)
    monkeypatch.setattr("proxy.engines.limits.FIRST_PAUSE", 0.01)


@pytest.mark.parametrize("script", STUBBORN, ids=range(len(STUBBORN)))
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["n", "vote3"])
def test_one_call_of_the_sdk_asks_a_member_three_times_at_most(
    sdk: openai.OpenAI, engine: Engine, script: Script, stream: bool, model: str
) -> None:
    all_say(engine, script)
    create: Any = sdk.chat.completions.create
    with pytest.raises(openai.APIError):
        list(create(model=model, messages=ASK, stream=stream))
    for name in "nsur":
        assert len(engine.bodies(name)) <= 3, name
    assert len(engine.received) >= 3


MIXED: list[list[Script]] = [
    [fails(500), fails(429, **SOON)],
    [fails(429, **SOON), fails(500)],
    [fails(500), fails(500), fails(503, **SOON)],
    [fails(429, retry_after="60", retry_after_ms="50000"), fails(503, **SOON)],
    [fails(503, **SOON), fails(429, **IN_A_MINUTE)],
]


@pytest.mark.parametrize("scripts", MIXED, ids=range(len(MIXED)))
def test_nor_where_the_failures_differ(
    sdk: openai.OpenAI, engine: Engine, scripts: list[Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the SDK's own, of up to a minute
    all_say(engine, turns(*scripts))
    create: Any = sdk.chat.completions.create
    with pytest.raises(openai.APIError):
        create(model="n", messages=ASK)
    assert len(engine.received) <= 3


def test_a_wait_that_is_too_long_is_the_clients(sdk: openai.OpenAI, engine: Engine) -> None:
    """The SDK waits for a second that we may not wait: four tries would be too many."""
    proxy_waits_less = fails(429, retry_after="4", retry_after_ms="3500")
    engine.scripts["n"] = turns(proxy_waits_less, says("7"))
    create: Any = sdk.chat.completions.create
    began = time.monotonic()
    answer = create(model="n", messages=ASK)
    assert answer.choices[0].message.content == "7"
    assert time.monotonic() - began > 3
    assert len(engine.received) == 2


@pytest.mark.parametrize(("count", "asked"), [("0", 3), ("1", 2), ("2", 1), ("9", 1), ("x", 3)])
def test_a_retry_of_the_sdk_counts_as_one_of_ours(
    proxy: httpx.Client, engine: Engine, count: str, asked: int
) -> None:
    engine.scripts["n"] = fails(503, **SOON)
    sent = {"model": "n", "messages": ASK}
    answer = proxy.post(CHAT, json=sent, headers={"x-stainless-retry-count": count})
    assert answer.headers.get("x-should-retry") == ("false" if asked > 1 else None)
    assert len(engine.received) == asked


@pytest.mark.parametrize("model", ["n", "vote3"])
def test_without_retries_of_ours_the_sdk_has_its_own(
    start: Proxy, engine: Engine, model: str
) -> None:
    proxy = start("[server]\nretries = 0\n" + MEMBERS)
    sdk = openai.OpenAI(base_url=f"{proxy.base_url}/v1", api_key="none")
    all_say(engine, fails(503, **SOON))
    create: Any = sdk.chat.completions.create
    with pytest.raises(openai.InternalServerError):
        create(model=model, messages=ASK)
    assert len(engine.bodies("n" if model == "n" else "s")) == 3


def test_a_dead_engine_is_not_begun_again(start: Proxy) -> None:
    proxy = start(EARLY.replace("{engine}", "http://127.0.0.1:9"))
    for model in ("n", "vote3"):
        answer = ask(proxy, model)
        assert answer.json()["error"]["code"] == "engine_refused"
        assert answer.headers["x-should-retry"] == "false"


def test_a_date_is_a_wait_too(start: Proxy, engine: Engine) -> None:
    proxy = start(PATIENT + MEMBERS)
    for seconds, asked in ((3600, 1), (-3600, 3)):
        when = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        engine.scripts["n"] = fails(429, retry_after=when)
        engine.received.clear()
        answer = ask(proxy)
        assert answer.headers["retry-after"] == when
        assert len(engine.received) == asked
    for odd in ("nan", "inf", "1e999", "-5", "soon"):
        engine.scripts["n"] = fails(429, retry_after=odd)
        assert ask(proxy).status_code == 429


# Engines that refuse `stream_options` --------------------------------------------------------


def refuses(*names: str, status: int = 422, told: str = "Extra inputs: {}") -> Script:
    """Stream, unless `stream_options` has one of `names`; `told` may name it."""
    said = speaks(r"\boxed{1}", counts=False)

    def script(body: Body) -> Response:
        asked = body.get("stream_options") or {}
        wrong = [name for name in names if name in asked]
        if wrong:
            return fails(status, {"message": told.format(f"stream_options.{wrong[0]}")})(body)
        return said(body)

    return script


def of_user(engine: Engine, user: str) -> list[Body]:
    """Return the calls of one request; cancelled ones of an earlier request may arrive late."""
    return [each.body for each in engine.received if each.body.get("user") == user]


BOTH = ("include_usage", "continuous_usage_stats")
STRICT = [
    (refuses(*BOTH), 2),
    (refuses(*BOTH, status=400), 2),
    (refuses("continuous_usage_stats"), 1),
    (refuses(*BOTH, told="Bad request"), 2),
    (refuses("continuous_usage_stats", told="Unprocessable"), 1),
    (refuses(*BOTH, told='Unknown name "streamOptions"'), 2),
]


@pytest.mark.parametrize(("script", "level"), STRICT, ids=range(len(STRICT)))
@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_is_asked_without_what_it_refuses(
    start: Proxy, engine: Engine, script: Script, level: int, stream: bool
) -> None:
    proxy = start("[server]\nretries = 0\n" + EARLY)
    all_say(engine, script)
    assert ask(proxy, "vote3", stream=stream).status_code == 200
    answer = ask(proxy, "vote3", user="again", input_time={"return_ballots": True})
    asked = [body.get("stream_options") for body in of_user(engine, "again")]
    assert asked in ([LEVELS[level]] * 2, [LEVELS[level]] * 3), "it is remembered"
    ballots = answer.json()["input_time"]["ballots"]
    assert all(b["estimated"] for b in ballots if b["outcome"] == "voted")


def test_a_refusal_of_the_clients_own_is_not_asked_again(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    all_say(engine, speaks(r"\boxed{1}"))
    assert ask(proxy, "vote3").status_code == 200
    all_say(engine, fails(400, LONG))
    engine.received.clear()
    assert ask(proxy, "vote3").json()["error"]["code"] == "context_length_exceeded"
    assert len(engine.received) <= 3
    all_say(engine, speaks(r"\boxed{1}"))
    engine.received.clear()
    assert ask(proxy, "vote3").status_code == 200
    assert engine.received[0].body["stream_options"] == LEVELS[0]


def test_a_bad_first_request_does_not_end_the_probing(start: Proxy, engine: Engine) -> None:
    proxy = start("[server]\nretries = 0\n" + EARLY)
    all_say(engine, fails(400, LONG))
    for user in ("1", "2", "3"):
        assert ask(proxy, "vote3", user=user).status_code == 400
        assert len(of_user(engine, user)) <= 9
    all_say(engine, fails(500))  # nor does one that fails in another way
    assert ask(proxy, "vote3").status_code == 502
    all_say(engine, refuses(*BOTH, told="Bad request"))
    assert ask(proxy, "vote3").status_code == 200
    all_say(engine, fails(400, LONG))
    assert ask(proxy, "vote3", user="late").status_code == 400
    assert len(of_user(engine, "late")) <= 3, "once it has answered, it is not probed again"


def test_an_error_that_quotes_the_field_is_believed_at_last(start: Proxy, engine: Engine) -> None:
    proxy = start(EARLY)
    all_say(engine, speaks(r"\boxed{1}"))
    assert ask(proxy, "vote3").status_code == 200
    all_say(engine, fails(400, {"message": "too long: 'what is stream_options?'"}))
    for _ in range(MOST_VAIN):
        assert ask(proxy, "vote3").status_code == 400
    engine.received.clear()
    assert ask(proxy, "vote3").status_code == 400
    assert len(engine.received) <= 3
    assert json.loads(engine.received[-1].raw)["stream_options"] == LEVELS[0]
