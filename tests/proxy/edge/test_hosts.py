"""Who is let in: web pages without keys, and keys that are limited."""

import gzip
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.api.endpoints import ENDPOINTS
from tests.conftest import MEMBERS, Proxy
from tests.proxy.asking import ASK, CHAT, JSON, serving, wait_until
from tests.scripted import NO_TLS, Engine, says

SENT = {"model": "n", "messages": ASK}
HOSTS = '[server]\nallowed_hosts = ["Panels.Example", "10.0.0.5", "fe80::1"]\n'


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def free(start: Proxy, engine: Engine) -> httpx.Client:
    """A proxy without keys, with names and an origin that are allowed."""
    engine.scripts["n"] = says("7")
    return start(HOSTS + 'cors_origins = ["https://chat.example"]\n' + MEMBERS)


# Host ---------------------------------------------------------------------------------------

OURS = [
    "127.0.0.1", "127.0.0.1:8000", "127.8.9.10", "localhost", "LOCALHOST:1", "localhost.",
    "app.localhost:80", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]",
    "panels.example", "PANELS.example.:443", "10.0.0.5:8000", "[FE80::1]:8000",
]  # fmt: skip
FOREIGN = [
    "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example",
    "notlocalhost", "evil.example@127.0.0.1", "127.0.0.1@evil.example", "0.0.0.0:8000", "10.0.0.6",
    "128.0.0.1", "127.0.0.1, evil.example", "127.0.0.1 evil", "127.1", "2130706433", "::1",
    "[::2]", "[::1", "x.panels.example", "panels.example.evil.example", "localhost" * 100, "",
]  # fmt: skip
PATHS = ["/health", "/ready", "/metrics", "/openapi.json", "/v1/models", "/v1/models/n", "/nothing"]


@pytest.mark.parametrize("host", OURS)
def test_this_machine_is_served(free: httpx.Client, host: str) -> None:
    assert free.post(CHAT, json=SENT, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a_page_that_rebinds_its_name_gets_nothing(
    free: httpx.Client, engine: Engine, host: str
) -> None:
    answer = free.post(CHAT, json=SENT, headers={"host": host})
    assert refusal(answer) == (403, "host_not_allowed")
    assert len(answer.content) < 600
    assert engine.received == []


@pytest.mark.parametrize("path", PATHS)
def test_the_rule_is_for_every_path(free: httpx.Client, path: str) -> None:
    assert refusal(free.get(path, headers={"host": "evil.example"})) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"host: evil.example\r\nhost: 127.0.0.1\r\n",
        b"host: 127.0.0.1\r\nhost: evil.example\r\n",
        b"host: evil.example\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
    ],
)
def test_a_host_that_is_not_one_is_refused(free: httpx.Client, lines: bytes) -> None:
    got = talk(free, b"GET /v1/models HTTP/1.1\r\n" + lines + b"\r\n")
    assert got.startswith(b"HTTP/1.1 403 "), got
    assert b"host_not_allowed" in got


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://evil.example", b"403"),
        (b"http://localhost:1", b"200"),
        (b"http://[::1]:1", b"200"),
        (b"http://[::2]", b"403"),
    ],
)
def test_an_absolute_target_counts_whatever_the_host_says(
    free: httpx.Client, target: bytes, status: bytes
) -> None:
    other = b"127.0.0.1" if status == b"403" else b"evil.example"
    got = talk(free, b"GET %s/v1/models HTTP/1.1\r\nhost: %s\r\n\r\n" % (target, other))
    assert got.startswith(b"HTTP/1.1 " + status), got


def talk(client: httpx.Client, request: bytes) -> bytes:
    """Send `request`, and return what comes within the first answer."""
    address = (client.base_url.host, client.base_url.port or 80)
    with closing(socket.create_connection(address, 10)) as connection:
        connection.sendall(request)
        got = b""
        while b"}" not in got and (data := connection.recv(65536)):
            got += data
    return got


# Origin -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", "https://chat.example"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost", "http://LOCALHOST:80"),
        ("[::1]:80", "http://[::1]"),
        ("panels.example", "https://panels.example"),
    ],
)
def test_our_own_page_and_those_that_are_listed_may_ask(
    free: httpx.Client, host: str, origin: str
) -> None:
    answer = free.post(CHAT, json=SENT, headers={"host": host, "origin": origin})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", "https://evil.example"),
        ("127.0.0.1:8000", "null"),
        ("127.0.0.1:8000", "http://127.0.0.1:3000"),
        ("127.0.0.1:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "file://"),
        ("127.0.0.1:8000", "https://chat.example.evil.example"),
        ("127.0.0.1:8000", "http://chat.example"),
        ("127.0.0.1:8000", "https://chat.example, https://evil.example"),
        ("127.0.0.1:80", "https://127.0.0.1:80/"),
    ],
)
def test_a_foreign_page_gets_nothing(
    free: httpx.Client, engine: Engine, host: str, origin: str
) -> None:
    headers = {"host": host, "origin": origin}
    assert refusal(free.post(CHAT, json=SENT, headers=headers)) == (403, "origin_not_allowed")
    answer = free.get("/ready", headers=headers)
    assert refusal(answer) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in answer.headers
    assert engine.received == []


def test_preflights(free: httpx.Client) -> None:
    asked = {"access-control-request-method": "POST"}
    answer = free.options(CHAT, headers={**asked, "origin": "https://chat.example"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://chat.example"
    answer = free.options(CHAT, headers={**asked, "origin": "https://evil.example"})
    assert refusal(answer) == (403, "origin_not_allowed")


def test_a_listed_page_can_read_a_refusal(free: httpx.Client) -> None:
    headers = {"origin": "https://chat.example", "host": "evil.example"}
    answer = free.get("/v1/models", headers=headers)
    assert refusal(answer) == (403, "host_not_allowed")
    assert answer.headers["access-control-allow-origin"] == "https://chat.example"


def test_every_page_may_ask_where_all_are_listed(start: Proxy) -> None:
    free = start('[server]\ncors_origins = ["*"]\n' + MEMBERS)
    assert free.get("/v1/models", headers={"origin": "null"}).status_code == 200
    answer = free.get("/v1/models", headers={"host": "evil.example"})
    assert refusal(answer) == (403, "host_not_allowed")


# Bodies -------------------------------------------------------------------------------------

TEXT = json.dumps(SENT).encode()


@pytest.mark.parametrize("path", ["/v1/input_time/compose", *ENDPOINTS])
@pytest.mark.parametrize(
    "kind",
    [
        None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a",
        "application/jsonp", "text/plain; a=application/json", "application/json, text/plain",
    ],
)  # fmt: skip
def test_a_body_must_be_said_to_be_json(
    free: httpx.Client, engine: Engine, path: str, kind: str | None
) -> None:
    answer = free.post(path, content=TEXT, headers={"content-type": kind} if kind else {})
    assert refusal(answer) == (415, "unsupported_content_type")
    assert engine.received == []


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"]
)
def test_kinds_of_json(free: httpx.Client, kind: str) -> None:
    answer = free.post(CHAT, content=TEXT, headers={"content-type": kind})
    assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "GZIP"])
def test_a_compressed_body_is_415(free: httpx.Client, engine: Engine, encoding: str) -> None:
    packed = gzip.compress(TEXT)
    answer = free.post(CHAT, content=packed, headers={**JSON, "content-encoding": encoding})
    assert refusal(answer) == (415, "unsupported_content_encoding")
    assert encoding in answer.json()["error"]["message"]
    assert engine.received == []


def test_a_byte_order_mark_is_no_part_of_a_body(free: httpx.Client, engine: Engine) -> None:
    marked = b"\xef\xbb\xbf" + TEXT
    headers = {**JSON, "content-encoding": "identity"}
    assert free.post(CHAT, content=marked, headers=headers).status_code == 200
    assert engine.received[0].raw.startswith(b"{")
    assert free.post(CHAT, content=b"\xef\xbb\xbf" + marked, headers=JSON).status_code == 400


# --insecure, and keys -----------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, engine_url: str) -> Path:
    file = tmp_path / "panels.toml"
    file.write_text(MEMBERS.replace("{engine}", engine_url), "utf-8")
    return file


def test_insecure_is_served_under_any_name_but_not_to_any_page(config: Path) -> None:
    with (
        serving(config, "--insecure") as (_, url),
        httpx.Client(trust_env=False, verify=NO_TLS) as client,
    ):
        there, foreign = f"{url}/models", {"host": "evil.example"}
        assert client.get(there, headers=foreign).status_code == 200
        for origin in ("http://evil.example", "https://chat.example", "null"):
            answer = client.get(there, headers={**foreign, "origin": origin})
            assert refusal(answer) == (403, "origin_not_allowed"), origin
        answer = client.post(f"{url}/chat/completions", content=TEXT, headers=foreign)
        assert refusal(answer) == (415, "unsupported_content_type")
        own = {"origin": url.removesuffix("/v1")}
        assert client.get(there, headers=own).status_code == 200


KEYS = """
[keys.all]
secret = "env:ITS_TEST_ALL"
[keys.limited]
secret = "env:ITS_TEST_LIMITED"
models = ["n", "vote3"]
[keys.watcher]
secret = "env:ITS_TEST_WATCHER"
models = []
metrics = true
[engines.secret-engine]
base_url = "{engine}/v1"
[members.secret-ft]
engine = "secret-engine"
model = "n"
strategy = "none"
[panels.secret-panel]
members = ["n", "secret-ft"]
"""
ALL, LIMITED, WATCHER = (
    {"authorization": f"Bearer sk-{name}"} for name in ("all", "limited", "watcher")
)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("all", "limited", "watcher"):
        monkeypatch.setenv(f"ITS_TEST_{name.upper()}", f"sk-{name}")


@pytest.fixture
def kept(start: Proxy, engine: Engine, keys: None) -> httpx.Client:
    """A proxy with keys."""
    engine.scripts["n"] = says("7")
    return start(MEMBERS + KEYS)


def test_with_keys_nothing_of_this_is_checked(kept: httpx.Client) -> None:
    headers = {**ALL, "host": "evil.example", "origin": "https://evil.example"}
    assert kept.post(CHAT, content=TEXT, headers=headers).status_code == 200
    assert kept.get("/health", headers={"host": "10.1.2.3:8000"}).status_code == 200
    assert kept.get("/ready", headers={"host": "10.1.2.3:8000"}).status_code == 200


def test_two_authorizations_are_400(kept: httpx.Client) -> None:
    for second in ("sk-all", "sk-limited"):
        pair = b"authorization: Bearer sk-all\r\nAuthorization: Bearer %s\r\n" % second.encode()
        got = talk(kept, b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + pair + b"\r\n")
        assert got.startswith(b"HTTP/1.1 400 "), got
        assert b"several `Authorization` headers" in got


def test_keys_that_are_taken_away_leave_nobody_in(config: Path, keys: None) -> None:
    """A proxy that more than this machine reaches does not go on without keys."""
    bare = config.read_text()
    config.write_text(bare + '[keys.all]\nsecret = "env:ITS_TEST_ALL"\n')
    with serving(config, "--host", "0.0.0.0") as (process, url):
        there = url.replace("0.0.0.0", "127.0.0.1") + "/models"
        assert httpx.get(there, headers=ALL, trust_env=False, verify=NO_TLS).status_code == 200
        config.write_text(bare)
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        said = iter(process.stderr.readline, "")
        assert any("only loopback is served" in line for line in said)
        assert httpx.get(there, trust_env=False, verify=NO_TLS).status_code == 401


def test_names_may_be_added_while_it_runs(config: Path) -> None:
    bare = config.read_text()
    with serving(config) as (process, url), httpx.Client(trust_env=False, verify=NO_TLS) as client:
        there, headers = f"{url}/models", {"host": "panels.example"}
        assert client.get(there, headers=headers).status_code == 403
        config.write_text(HOSTS + bare)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: client.get(there, headers=headers).status_code == 200)


# Limited keys -------------------------------------------------------------------------------


def bodies(model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    asks: dict[str, Any] = {"model": model, "messages": ASK, "prompt": "q", "input": "q"}
    for path in ("/v1/input_time/compose", *ENDPOINTS):
        yield path, asks
        yield path, {**asks, "stream": True}


def test_what_a_key_may_not_use_does_not_exist(kept: httpx.Client, engine: Engine) -> None:
    for name in ("secret-ft", "secret-panel", "s"):
        other = "x" * len(name)
        for (path, sent), (_, absent) in zip(bodies(name), bodies(other), strict=True):
            found = kept.post(path, json=sent, headers=LIMITED)
            missing = kept.post(path, json=absent, headers=LIMITED)
            assert refusal(found) == (404, "model_not_found"), path
            assert found.text == missing.text.replace(other, name), path
            assert found.headers.keys() == missing.headers.keys()
        found = kept.get(f"/v1/models/{name}", headers=LIMITED)
        missing = kept.get(f"/v1/models/{other}", headers=LIMITED)
        assert refusal(found) == (404, "model_not_found")
        assert found.text == missing.text.replace(other, name)
    assert engine.received == []
    assert kept.post(CHAT, json=SENT, headers=LIMITED).status_code == 200
    assert kept.get("/v1/models/vote3", headers=LIMITED).status_code == 200


@pytest.mark.parametrize(
    "path", [CHAT, "/v1/models", "/v1/completions", "/ready", "/openapi.json", "/v1/models/vote3"]
)
def test_a_limited_key_reads_no_other_names(kept: httpx.Client, path: str) -> None:
    sent = {"model": "vote3", "messages": ASK, "prompt": "q"}
    posted = path in (CHAT, "/v1/completions")
    answer = kept.request(
        "POST" if posted else "GET", path, json=sent if posted else None, headers=LIMITED
    )
    assert "secret" not in answer.text


def test_ready_tells_a_key_of_its_own_engines(kept: httpx.Client) -> None:
    assert kept.get("/ready", headers=LIMITED).json()["engines"] == {"e": True}
    assert kept.get("/ready", headers=ALL).json()["engines"] == {"e": True, "secret-engine": True}
    assert kept.get("/ready", headers=WATCHER).json()["engines"] == {}


@pytest.mark.parametrize("headers", [ALL, LIMITED])
def test_a_long_name_is_not_sent_back(kept: httpx.Client, headers: dict[str, str]) -> None:
    name = "z" * 200_000
    answer = kept.post(CHAT, json={**SENT, "model": name}, headers=headers)
    assert refusal(answer) == (404, "model_not_found")
    assert answer.text.count("z") == 100
    for path in (f"/v1/models/{name[:50_000]}", f"/v1/{name[:50_000]}"):
        assert 90 < kept.get(path, headers=headers).text.count("z") <= 100
    answer = kept.delete(f"/v1/models/{name[:50_000]}", headers=headers)
    assert answer.status_code == 405
    assert answer.text.count("z") <= 100


@pytest.mark.parametrize(
    "extras", [{"strategy": "z" * 9000}, {"placement": "z" * 9000}, {"z" * 9000: 1}]
)
def test_a_long_field_is_not_sent_back(free: httpx.Client, extras: dict[str, Any]) -> None:
    answer = free.post(CHAT, json={**SENT, "input_time": extras})
    assert answer.status_code == 400
    assert answer.text.count("z") <= 100
    assert len(answer.content) < 500


def test_metrics_want_a_key_of_their_own(kept: httpx.Client) -> None:
    assert kept.get("/metrics").status_code == 401
    for headers in (ALL, LIMITED):
        assert refusal(kept.get("/metrics", headers=headers)) == (403, "metrics_not_allowed")
    answer = kept.get("/metrics", headers=WATCHER)
    assert answer.status_code == 200
    assert "its_in_flight" in answer.text
    assert kept.post(CHAT, json=SENT, headers=WATCHER).status_code == 404


def test_metrics_are_open_without_keys(free: httpx.Client) -> None:
    assert "its_in_flight" in free.get("/metrics").text


def test_no_client_makes_new_series_of_votes(free: httpx.Client, engine: Engine) -> None:
    for name in "sur":
        engine.scripts[name] = says(r"\boxed{7}")
    for samples in range(1, 8):
        extras = {"input_time": {"samples": samples}}
        sent = {"model": "vote3", "messages": ASK, **extras}
        assert free.post(CHAT, json=sent).status_code == 200
    votes = [line for line in free.get("/metrics").text.splitlines() if "its_votes_total{" in line]
    assert votes == ['its_votes_total{agreement="1",panel="vote3"} 7.0']
