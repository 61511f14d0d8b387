"""The serving process: signals, the reload, clients that mean harm."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.api.app import create_app
from proxy.config.load import load
from proxy.serving.connection import Connection
from tests import scripted
from tests.conftest import MEMBERS
from tests.proxy.asking import ASK, JSON, serving, wait_until
from tests.scripted import NO_TLS, Engine, says, says_after, speaks, streams

FAST = "[server]\nread_seconds = 0.5\ndrain_seconds = 1\n"


@pytest.fixture
def config(tmp_path: Path, engine_url: str) -> Path:
    file = tmp_path / "panels.toml"
    file.write_text(FAST + MEMBERS.replace("{engine}", engine_url), "utf-8")
    return file


def ask(url: str, model: str = "n", **more: Any) -> httpx.Response:
    sent = {"model": model, "messages": ASK, **more}
    return httpx.post(
        f"{url}/chat/completions", json=sent, trust_env=False, verify=NO_TLS, timeout=30
    )


# Clients that mean harm ---------------------------------------------------------------------
HANGS_UP = 20
"""Seconds until which a test waits for the proxy to hang up: more than it needs, less than 30."""


@contextmanager
def inside(config: Path) -> Iterator[str]:
    """Serve `config` in this process, over the proxy's own protocol; yield its base URL."""
    settings = load(config)
    app, limits = create_app(settings), settings.limits
    http = partial(Connection, app=app, seconds=limits.read_seconds, stalled=limits.seconds)
    with scripted.serving(app, http) as address:
        yield f"{address}/v1"


def talk(url: str, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send `pieces` over one connection; return all that comes until it closes.

    Raises:
        TimeoutError: it was still open after `HANGS_UP` seconds of silence.
    """
    address = httpx.URL(url)
    with closing(
        socket.create_connection((address.host, address.port or 80), HANGS_UP)
    ) as connection:
        got = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while data := connection.recv(65536):
                got += data
        except (BrokenPipeError, ConnectionResetError):
            pass
        return got


POST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
)


def test_endless_headers_are_431(config: Path) -> None:
    with inside(config) as url:
        got = talk(url, POST, *[b"x-%d: %s\r\n" % (n, b"y" * 1000) for n in range(100)], pause=0)
        assert got.startswith(b"HTTP/1.1 431 ")
        assert json.loads(got.partition(b"\r\n\r\n")[2])["error"]["type"]
        assert httpx.get(f"{url}/models", trust_env=False, verify=NO_TLS).status_code == 200


@pytest.mark.parametrize("pieces", [[], [POST], [b"P"]])
def test_who_says_nothing_is_hung_up_on(config: Path, pieces: list[bytes]) -> None:
    with inside(config) as url:
        assert talk(url, *pieces) == b""


ASKS = POST + b"content-length: 10\r\n\r\n"
KEY = '[keys.alice]\nsecret = "env:HOME"\n'


@pytest.mark.parametrize("more", [b"x", b"x" * 10])
def test_who_is_refused_early_is_hung_up_on_too(config: Path, more: bytes) -> None:
    config.write_text(config.read_text() + KEY)
    with inside(config) as url:
        assert talk(url, ASKS, more, pause=0.2).startswith(b"HTTP/1.1 401 ")


def test_a_line_end_behind_a_request_keeps_nothing_open(config: Path) -> None:
    with inside(config) as url:
        got = talk(url, b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", b"\r\n", pause=0.2)
        assert got.startswith(b"HTTP/1.1 200 ")


def test_who_reads_nothing_is_hung_up_on(config: Path, engine: Engine) -> None:
    config.write_text("[server]\nmax_seconds = 1\n" + config.read_text().removeprefix(FAST))
    engine.scripts["n"] = streams([b"data: %s\n\n" % (b"x" * 100_000)] * 1000)
    sent = json.dumps({"model": "n", "messages": ASK, "stream": True}).encode()
    with serving(config) as (_, url), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((httpx.URL(url).host, httpx.URL(url).port or 80))
        client.sendall(POST + b"content-length: %d\r\n\r\n%s" % (len(sent), sent))
        wait_until(lambda: "its_in_flight 2.0" in metrics(url))
        wait_until(lambda: "its_in_flight 1.0" in metrics(url))
        client.settimeout(10)
        got = b"".join(iter(lambda: client.recv(65536), b""))
    assert not got.endswith(b"0\r\n\r\n"), "it was cut off"


def metrics(url: str) -> str:
    return httpx.get(f"{url.removesuffix('/v1')}/metrics", trust_env=False, verify=NO_TLS).text


def test_a_body_that_stalls_is_408(config: Path) -> None:
    with serving(config) as (_, url):
        got = talk(url, POST + b"content-length: 100\r\n\r\n", b"{")
        assert got.startswith(b"HTTP/1.1 408 ")
        assert json.loads(got.partition(b"\r\n\r\n")[2])["error"]["code"] == "timeout"


def test_a_body_is_refused_by_its_length(config: Path, engine: Engine) -> None:
    with inside(config) as url:
        got = talk(url, POST + b"content-length: 10000000\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 413 ")
        whole = httpx.post(
            f"{url}/chat/completions",
            content=b"x" * 10_000_000,
            headers=JSON,
            trust_env=False,
            verify=NO_TLS,
        )
        assert whole.status_code == 413
    assert engine.received == []


def test_what_is_no_http_is_400(config: Path) -> None:
    with inside(config) as url:
        assert talk(url, b"\x16\x03\x01\x02\x00\x01\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_request_has_a_time_limit(config: Path, engine: Engine) -> None:
    config.write_text("[server]\nmax_seconds = 0.5\n" + config.read_text().removeprefix(FAST))
    engine.scripts["n"] = says_after(20, "late")
    engine.scripts["s"] = speaks("a", hangs=True)
    with serving(config) as (_, url):
        answer = ask(url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
        assert answer.headers["x-should-retry"] == "false"
        content = ask(url, "s", stream=True).content
        assert b"event: error" in content
        assert b"[DONE]" not in content
        wait_until(lambda: engine.running == 0)


# Signals ------------------------------------------------------------------------------------


def test_sigterm_lets_requests_finish(config: Path, engine: Engine) -> None:
    config.write_text(config.read_text().replace("drain_seconds = 1", "drain_seconds = 30"))
    engine.scripts["n"] = says_after(2, "7")
    with serving(config) as (process, url), ThreadPoolExecutor(1) as pool:
        future = pool.submit(ask, url)
        wait_until(lambda: engine.running == 1)
        process.terminate()
        wait_until(lambda: refuses(url))
        assert not future.done(), "the port is closed while requests run"
        assert future.result().json()["choices"][0]["message"]["content"] == "7"
        assert process.wait(10) == 0


def test_sigterm_does_not_wait_for_ever(config: Path, engine: Engine) -> None:
    engine.scripts["n"] = says_after(60, "7")
    engine.scripts["s"] = speaks("a", hangs=True)
    with serving(config) as (process, url), ThreadPoolExecutor(2) as pool:
        whole, streamed = pool.submit(ask, url), pool.submit(ask, url, "s", stream=True)
        wait_until(lambda: len(engine.received) == 2)
        time.sleep(0.2)
        process.terminate()
        assert whole.result().status_code == 503
        assert whole.result().json()["error"]["code"] == "stopping"
        assert b"event: error" in streamed.result().content
        assert process.wait(10) == 0
    wait_until(lambda: engine.running == 0)


def refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/models", trust_env=False, verify=NO_TLS, timeout=1)
    except (httpx.ConnectError, httpx.ReadError):  # reset: it waited in the queue
        return True
    except (httpx.TimeoutException, httpx.RemoteProtocolError):
        # The connection is older than SIGTERM, and this client was slower than FAREWELL_SECONDS.
        return False
    return False


def models(url: str) -> list[str]:
    answer = httpx.get(f"{url}/models", trust_env=False, verify=NO_TLS)
    return [card["id"] for card in answer.json()["data"]]


RENAMED = "[members.new]\nengine = 'e'\nmodel = 'n'\nstrategy = 'none'\n"


def test_sighup_reads_the_configuration_again(config: Path, engine: Engine) -> None:
    engine.scripts["n"] = says_after(1.0, "7")
    good = config.read_text()
    with serving(config) as (process, url), ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, url)
        wait_until(lambda: engine.running == 1)
        config.write_text(good + RENAMED)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "new" in models(url))
        assert running.result().status_code == 200, "it finished on the old one"
        config.write_text("typo = 1\n" + good)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert "new" in models(url), "a bad file changes nothing"
        config.write_text(good.replace("[members.n]", "max_concurrency = 1\n[members.n]"))
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "new" not in models(url))
        assert ask(url).status_code == 200
        process.terminate()
        _, said = process.communicate(timeout=10)
    assert said.count("Unknown key 'typo'") == 1
    assert "Traceback" not in said


def test_of_two_quick_sighups_the_later_file_wins(config: Path) -> None:
    """The first file's key comes from a pipe: reading it takes as long as the test wants."""
    good, slow = config.read_text(), config.with_name("slow")
    os.mkfifo(slow)
    with serving(config) as (process, url):
        config.write_text(good.replace("[members.n]", 'api_key = "file:slow"\n[members.old]', 1))
        process.send_signal(signal.SIGHUP)
        key = _opened(slow)  # the proxy is reading the first file
        for _ in range(3):
            config.write_text(good + RENAMED)
            process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert "new" not in models(url), "the second reading waits for the first"
        os.write(key, b"secret")
        os.close(key)
        wait_until(lambda: "new" in models(url))
        process.terminate()
        _, said = process.communicate(timeout=10)
    assert said.count("the configuration was read again") == 2, "three signals, one more reading"


def _opened(pipe: Path) -> int:
    """Return the writing end, as soon as somebody reads."""
    found: list[int] = []

    def try_to_open() -> bool:
        with suppress(OSError):
            found.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return bool(found)

    wait_until(try_to_open)
    return found[0]


def catches_hangups(process: subprocess.Popen[str]) -> bool:
    """Tell whether the process has a handler of SIGHUP."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & 1 << (signal.SIGHUP - 1))


def test_sighup_while_it_starts_ends_nothing(config: Path) -> None:
    def early(process: subprocess.Popen[str]) -> None:
        wait_until(lambda: catches_hangups(process))
        process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        config.write_text(config.read_text() + RENAMED)

    with serving(config, started=early) as (_, url):
        wait_until(lambda: "new" in models(url))


# curl ---------------------------------------------------------------------------------------


SENT_AS = ("-H", "content-type: application/json")


def curl(*args: str) -> str:
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", *args], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl(config: Path, engine: Engine) -> None:
    engine.scripts["n"] = says("7")
    engine.scripts["s"] = speaks("a", "b")
    with serving(config) as (_, url):
        body = json.dumps({"model": "n", "messages": ASK})
        answer = json.loads(curl(f"{url}/chat/completions", *SENT_AS, "-d", body))
        assert answer["choices"][0]["message"]["content"] == "7"
        body = json.dumps({"model": "s", "messages": ASK, "stream": True})
        streamed = curl("-N", f"{url}/chat/completions", *SENT_AS, "-d", body)
        assert streamed.rstrip().endswith("data: [DONE]")
        large = json.dumps({"model": "n", "messages": [{"role": "user", "content": "x" * 100_000}]})
        # curl asks before it sends as much: 100-continue
        answer = json.loads(curl(f"{url}/chat/completions", *SENT_AS, "-d", large))
        assert answer["choices"][0]["message"]["content"] == "7"
        assert "200 OK" in curl("-i", f"{url}/models").splitlines()[0]
