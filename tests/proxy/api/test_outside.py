"""What is seen from outside: metrics, readiness, logs, CORS, the description."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

from proxy.api.app import create_app
from proxy.config.load import load
from proxy.config.settings import LogSettings
from proxy.telemetry import logs
from proxy.telemetry.metrics import Metrics
from tests.conftest import MEMBERS, ROOT, Proxy, longer
from tests.proxy.asking import ASK, CHAT, series, wait_until
from tests.scripted import (
    CHUNKS,
    Engine,
    fails,
    says,
    says_after,
    speaks,
    streams,
    streams_then_breaks,
)

KEY = '\n[keys.alice]\nsecret = "env:ITS_TEST_KEY"\n'
BEARER = {"authorization": "Bearer key-secret"}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITS_TEST_KEY", "key-secret")
    monkeypatch.setenv("ITS_TEST_ENGINE_KEY", "engine-secret")


def test_a_stream_that_is_cut_is_counted(start: Proxy, engine: Engine) -> None:
    proxy = start()
    engine.scripts["n"] = streams(CHUNKS[:1])
    content = proxy.post(CHAT, json={"model": "n", "messages": ASK, "stream": True}).content
    assert b"event: error" in content
    assert series(proxy)['its_engine_errors_total{engine="e",kind="broken"}'] == 1


def test_what_breaks_behind_the_end_is_no_fault(start: Proxy, engine: Engine) -> None:
    proxy = start()
    engine.scripts["n"] = streams_then_breaks(CHUNKS)
    content = proxy.post(CHAT, json={"model": "n", "messages": ASK, "stream": True}).content
    assert content == b"".join(CHUNKS)


def test_what_happens_is_counted(start: Proxy, engine: Engine) -> None:
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = true"))
    engine.scripts["n"] = fails(500)
    engine.scripts["s"] = engine.scripts["u"] = speaks(r"\boxed{1}")
    engine.scripts["r"] = speaks("a", hangs=True)
    proxy.post(CHAT, json={"model": "n", "messages": ASK})
    proxy.post(CHAT, json={"model": "no", "messages": ASK})
    proxy.post(CHAT, json={"model": "vote3", "messages": ASK})
    proxy.post(CHAT, json={"model": "vote3", "messages": ASK, "stream": True})
    expected = {
        'its_requests_total{model="n",status="502"}': 1,
        'its_requests_total{model="",status="404"}': 1,
        'its_requests_total{model="vote3",status="200"}': 2,
        'its_request_seconds_count{model="vote3"}': 2,
        'its_first_byte_seconds_count{model="vote3"}': 1,
        'its_engine_errors_total{engine="e",kind="status"}': 1,
        'its_votes_total{agreement="0.5",panel="vote3"}': 2,
        'its_early_stop_saved_calls_total{panel="vote3"}': 2,
        'its_abstentions_total{panel="vote3"}': 0,
        'its_persona_memory_total{result="miss"}': 3,
        'its_persona_memory_total{result="hit"}': 3,
        "its_in_flight": 1,  # the request for the metrics themselves
        'its_queue{engine="e"}': 0,
    }
    # A request is counted when all of it is done, a moment after its client has the answer.
    wait_until(lambda: expected.items() <= series(proxy).items())


def test_a_client_that_left_is_counted_as_such(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = says_after(20, "nobody waits")
    with pytest.raises(httpx.ReadTimeout):
        proxy.post(CHAT, json={"model": "n", "messages": ASK}, timeout=0.2)
    wait_until(lambda: series(proxy).get('its_requests_total{model="n",status="499"}') == 1)


def test_metrics_and_models_follow_the_key_rule(start: Proxy) -> None:
    proxy = start(MEMBERS + KEY + "metrics = true\n")
    for path in ("/metrics", "/v1/models", "/openapi.json"):
        assert proxy.get(path).status_code == 401, path
        assert proxy.get(path, headers=BEARER).status_code == 200, path
    assert proxy.get("/health").json() == {"status": "ok"}


def test_ready_names_engines_to_a_key_only(start: Proxy) -> None:
    dead = '\n[engines.dead]\nbase_url = "http://127.0.0.1:9/v1"\n'
    proxy = start(MEMBERS + KEY + dead)
    answer = proxy.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready"})
    answer = proxy.get("/ready", headers=BEARER)
    told = {"e": True, "dead": False}
    faults = {"dead": "cannot be reached"}
    assert answer.json() == {"status": "not ready", "engines": told, "faults": faults}


def test_ready_names_engines_on_a_machine_without_keys(start: Proxy, engine: Engine) -> None:
    answer = start(MEMBERS.replace("{engine}", "http://127.0.0.1:9")).get("/ready")
    assert answer.status_code == 503
    assert answer.json()["faults"] == {"e": "cannot be reached"}
    answer = start(MEMBERS.replace("/v1", "/none/v1")).get("/ready")
    assert answer.json()["faults"] == {"e": "answers 405 to GET /v1/models"}


@pytest.mark.parametrize(
    ("client", "told"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False)],
)
def test_ready_tells_other_machines_nothing(
    engine_url: str, tmp_path: Path, client: str, told: bool
) -> None:
    file = tmp_path / "panels.toml"
    file.write_text(MEMBERS.replace("{engine}", engine_url), "utf-8")
    app = create_app(load(file))
    with TestClient(app, "http://127.0.0.1", client=(client, 1)) as proxy:
        assert ("engines" in proxy.get("/ready").json()) is told


ORIGIN = {"origin": "https://chat.example"}


def test_cors_is_by_config(start: Proxy, engine: Engine) -> None:
    engine.scripts["n"] = says("7")
    proxy = start('[server]\ncors_origins = ["https://chat.example"]\n' + MEMBERS + KEY)
    asked = {"access-control-request-method": "POST", **ORIGIN}
    answer = proxy.options(CHAT, headers=asked)
    assert answer.headers["access-control-allow-origin"] == ORIGIN["origin"]
    sent = {"model": "n", "messages": ASK}
    answer = proxy.post(CHAT, json=sent, headers={**ORIGIN, **BEARER})
    assert answer.headers["access-control-allow-origin"] == ORIGIN["origin"]
    answer = proxy.post(CHAT, json=sent, headers=ORIGIN)
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == ORIGIN["origin"], "readable there"
    answer = proxy.post(CHAT, json=sent, headers={"origin": "https://evil.example", **BEARER})
    assert "access-control-allow-origin" not in answer.headers


def test_without_config_there_is_no_cors(proxy: httpx.Client) -> None:
    answer = proxy.options(CHAT, headers={"access-control-request-method": "POST", **ORIGIN})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.fixture
def configured(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name in ("its.proxy", "its.proxy.body"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("bodies", [False, True])
def test_logs_say_what_happened_and_no_contents(
    start: Proxy, engine: Engine, capfd: pytest.CaptureFixture[str], bodies: bool
) -> None:
    key = 'api_key = "env:ITS_TEST_ENGINE_KEY"\n[members.n]'
    proxy = start(MEMBERS.replace("[members.n]", key) + KEY)
    logs.configure(LogSettings("json", "info", bodies))
    engine.scripts["n"] = says("a private answer")
    engine.scripts["s"] = lambda _: fails(500, {"error": "engine-secret is wrong"})(_)
    for model in ("n", "s"):
        sent = {"model": model, "messages": [{"role": "user", "content": "a private question"}]}
        proxy.post(CHAT, json=sent, headers={**BEARER, "x-request-id": f"id-{model}"})
    written = ""

    def ended_requests() -> dict[str, dict[str, Any]]:
        nonlocal written
        written += capfd.readouterr().err
        rows = [json.loads(line) for line in written.splitlines()]
        return {row["request_id"]: row for row in rows if row["event"] == "request"}

    wait_until(lambda: len(ended_requests()) == 2)
    ended = ended_requests()
    assert (ended["id-n"]["status"], ended["id-s"]["status"]) == (200, 502)
    assert (ended["id-n"]["key"], ended["id-n"]["model"]) == ("alice", "n")
    assert "secret" not in written
    assert ("a private question" in written) is bodies
    assert ("a private answer" in written) is bodies


@pytest.mark.usefixtures("configured")
def test_an_unforeseen_error_tells_its_place_and_no_contents(
    proxy: httpx.Client, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogSettings("console", "info", False))
    log = logging.getLogger("its.proxy")
    contents = "a private answer"
    try:
        raise ValueError(contents)
    except ValueError:
        log.exception("request %s failed", "x\ny")
    written = capfd.readouterr().err
    assert "test_outside.py" in written
    assert "ValueError" in written
    assert contents not in written.replace('contents = "a private answer"', "")


@pytest.mark.usefixtures("configured")
def test_a_hostile_value_stays_in_its_line(
    proxy: httpx.Client, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogSettings("console", "info", False))
    proxy.post("/v1/%0Aforged%20line", json={})
    written: list[str] = []

    def is_written() -> bool:
        written.extend(capfd.readouterr().err.splitlines())
        return bool(written)

    wait_until(is_written)
    [line] = [row for row in written if "forged" in row]
    assert r'path="/v1/\nforged line"' in line


def lines(capfd: pytest.CaptureFixture[str], until: str) -> str:
    """Return what was logged, once `until` is in it."""
    written = ""

    def is_written() -> bool:
        nonlocal written
        written += capfd.readouterr().err
        return until in written

    wait_until(is_written)
    return written


@pytest.mark.usefixtures("configured")
def test_an_unreachable_engine_is_named_at_start(
    start: Proxy, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogSettings("console", "info", False))
    start(MEMBERS.replace("{engine}", "http://127.0.0.1:9"))
    assert "warning: Engine 'e' is not ready: it cannot be reached." in lines(capfd, "Engine 'e'")


FAILURES: list[tuple[Any, str]] = [
    (fails(400, {"error": {"message": "a private question", "code": "a private code"}}), "status"),
    (fails(500, {"error": "a private question"}), "status"),
    (streams([b'data: {"error": {"message": "a private question"}}\n\n']), "broken"),
    (says("a private question", message="x"), "protocol"),
]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(("script", "kind"), FAILURES, ids=range(len(FAILURES)))
@pytest.mark.parametrize("level", ["info", "debug"])
def test_an_engines_words_stay_out_of_the_log(
    start: Proxy,
    engine: Engine,
    capfd: pytest.CaptureFixture[str],
    script: Any,
    kind: str,
    level: Any,
) -> None:
    generate = '\n[personas]\ngenerate = { engine = "e", model = "w" }\n'
    proxy = start(MEMBERS + generate)
    logs.configure(LogSettings("console", level, False))
    for name in "nw":
        engine.scripts[name] = script
    for name in "sur":
        engine.scripts[name] = script
    for model in ("n", "s", "vote3"):
        for stream in (False, True):
            proxy.post(CHAT, json={"model": model, "messages": ASK, "stream": stream})
    proxy.post("/v1/none", json={})
    written = lines(capfd, "/v1/none")
    assert f"error=engine_{kind}" in written
    assert "No persona was written" in written
    assert ("a private" in written) is (level == "debug" and kind == "status")


@pytest.mark.usefixtures("configured")
def test_a_failed_requests_line_has_the_reason(
    start: Proxy, engine: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    proxy = start(MEMBERS.replace("{engine}", "http://127.0.0.1:9"))
    logs.configure(LogSettings("console", "info", False))
    for body in ({"model": "n"}, {"model": "vote3"}, {"model": "x"}, {"model": "n", "seed": "x"}):
        proxy.post(CHAT, json={"messages": ASK, **body})
    proxy.post("/v1/input_time/compose", json={"model": "x", "messages": ASK})
    proxy.get("/v1/models/x")
    proxy.post("/v1/none", json={})
    rows = [row for row in lines(capfd, "/v1/none").splitlines() if "request" in row]
    reasons = [row.partition("error=")[2] for row in rows]
    expected = ["engine_refused", "engine_refused", "model_not_found", "invalid_request_error"]
    assert reasons == [*expected, "model_not_found", "model_not_found", "not_found"]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["n", "vote3"])
def test_our_own_time_is_without_the_engines(
    start: Proxy, engine: Engine, capfd: pytest.CaptureFixture[str], model: str, stream: bool
) -> None:
    proxy = start(MEMBERS.replace("early_stop = false", "early_stop = true"))
    logs.configure(LogSettings("json", "info", False))
    for name in "nsur":
        engine.scripts[name] = speaks(*[r"\boxed{1}", r"and", r"so", r"on"], pause=0.4)
    answer = proxy.post(CHAT, json={"model": model, "messages": ASK, "stream": stream})
    rows = [row for row in lines(capfd, '"own_ms"').splitlines() if '"own_ms"' in row]
    row = json.loads(rows[0])
    spoke = 1600 if stream or model == "vote3" else 0  # milliseconds that each engine slept
    assert 0 < row["own_ms"] <= row["seconds"] * 1000 - spoke
    overhead = answer.headers.get("x-input-time-overhead-ms")
    if overhead is not None and not stream:
        assert 0 < float(overhead) <= row["seconds"] * 1000 - spoke


@pytest.mark.long
def test_what_the_description_promises_holds(start: Proxy, engine: Engine) -> None:
    """Whatever fits or does not fit the description: never a 500, always the error shape."""
    proxy = start(MEMBERS)
    for name in "nsur":
        engine.scripts[name] = lambda body: (
            speaks("7")(body) if "messages" in body else says("7")(body)
        )
    schema = schemathesis.openapi.from_url(f"{proxy.base_url}/openapi.json")
    answered: Counter[int] = Counter()

    for found in schema.get_all_operations():
        assert isinstance(found, Ok)

        @hypothesis_settings(max_examples=longer(6, 100), deadline=None, database=None)
        @given(found.ok().as_strategy())
        def try_one(case: Any) -> None:
            answer = case.call(base_url=str(proxy.base_url), timeout=20)
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400:
                error = answer.json()["error"]
                anthropic = "/v1/messages" in str(case.path)
                shape = {"message", "type"} if anthropic else {"message", "type", "param", "code"}
                assert set(error) == shape
            answered[answer.status_code] += 1

        try_one()
    assert answered[200] > 0
    assert answered[404] > 0


def test_every_series_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    own = [m for m in Metrics().registry.collect() if m.name.startswith("its_")]
    assert len(own) > 10
    for metric in own:
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        assert f"`{name}`" in page, name
