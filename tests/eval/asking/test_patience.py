"""A server that is away, busy or cannot be reached: what is waited for, and what is told."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import openai
import pytest
import trustme
from starlette.responses import Response, StreamingResponse

from eval.asking import call
from eval.asking.causes import cause, through_proxy
from eval.asking.patience import Patience, ServerAway
from eval.asking.server import connect
from eval.errors import EvalError
from eval.pages.progress import LINE_SECONDS, RunProgress, log
from eval.samples import EvalSample
from tests.eval.harness import its_eval_run, rows, run_args
from tests.scripted import Body, Engine, chunk, fails, says, serving


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_call_waits_as_long_as_the_patience_and_the_run_with_it() -> None:
    clock = Clock()
    patience = Patience(300, clock)
    with patience.call() as one, patience.call() as two:
        assert one.seconds_left() == 300
        clock.now += 2
        assert patience.told() is None, "a short wait is not worth a word"
        clock.now += 38
        assert one.seconds_left() == 260
        assert patience.told() == "waiting for the server, 40 s of 300"
        assert two.seconds_left() == 300
        two.is_there()
        assert patience.told() is None, "another call was answered"
        clock.now += 261
        assert one.seconds_left() < 0, "this call is over, and the run goes on"
        one.is_there()
        assert one.seconds_left() == 300
        clock.now += 300
        with pytest.raises(ServerAway, match="no answer from the server for 300 s"):
            one.seconds_left()
    assert patience.told() is None, "who ended waits no more"


def test_a_server_that_restarts_is_waited_for(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    """More tries than `--retries` allows for broken answers: being away is none."""
    tries: list[float] = []

    def restarting(body: Body) -> Response:
        tries.append(time.monotonic())
        return (fails(503) if len(tries) < 5 else says(r"\boxed{3}"))(body)

    engine.scripts["m"] = restarting
    ended = its_eval_run(
        *run_args(tmp_path, engine_url), "--limit", 1, "--retries", 1, "--patience", 60
    )
    assert ended.returncode == 0, ended.stderr
    assert len(tries) == 5


def test_a_run_ends_when_the_patience_is_over_and_goes_on_later(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    def away(body: Body) -> Response:
        first = len(engine.received) == 1
        return (says(r"\boxed{3}") if first else fails(502, {"message": "no engine"}))(body)

    engine.scripts["m"] = away
    how = ("--patience", 1, "--concurrency", 1)
    ended = its_eval_run(*run_args(tmp_path, engine_url), *how)
    assert ended.returncode == 1
    assert "no answer from the server for 1 s: 502 no engine. What is done is kept" in ended.stderr
    assert "0/1" in ended.stdout, "the figures of what is done"
    assert len(rows(tmp_path / "out")) == 1, "being away is nobody's answer"
    engine.scripts["m"] = says(r"\boxed{3}")
    assert its_eval_run(*run_args(tmp_path, engine_url), *how).returncode == 0
    assert len(rows(tmp_path / "out")) == 3


@pytest.mark.parametrize("status", [425, 429, 502, 503, 520, 521, 522, 523, 524, 529, 500, 504])
def test_a_status_that_is_worth_another_try(
    status: int, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    answers = iter([fails(status), says(r"\boxed{3}")])
    engine.scripts["m"] = lambda body: next(answers)(body)
    ended = its_eval_run(*run_args(tmp_path, engine_url), "--limit", 1, "--retries", 1)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "too long"}}),
        (429, {"error": {"message": "pay first", "code": "insufficient_quota"}}),
    ],
)
def test_a_refusal_is_not_repeated(
    status: int, body: Body, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["m"] = fails(status, body)
    ended = its_eval_run(*run_args(tmp_path, engine_url))
    assert ended.returncode == 1
    assert len(engine.received) == 3
    told = f"3 of 3 calls failed: {status} {body['error']['message']}"
    assert told in ended.stderr


def test_when_to_ask_again_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 27 < call._retry_after(later) <= 30
    assert call._retry_after("2") == 2
    assert [call._retry_after(odd) for odd in ("", "soon", "nan", "-3", "inf")] == [0] * 5


def test_the_client_waits_for_a_first_byte_as_long_as_a_call_may_take() -> None:
    """Its own limit of 600 s ended calls that `--timeout 3600` allowed, and repeated them."""

    async def timeout() -> Any:
        with serving(Engine().app()) as url:
            server = await connect(f"{url}/v1", "x")
            await server.client.close()
            return server.client.timeout

    found = asyncio.run(timeout())
    assert found.read is None
    assert found.write is None
    assert found.pool is None
    assert found.connect == 30


@pytest.mark.parametrize("kind", ["length", "chunked", "reset", "error body"])
def test_an_answer_that_is_cut_in_any_way_is_asked_for_again(kind: str, tmp_path: Path) -> None:
    """Under the SDK's error too: the body of a 400 is read by it, and may break off."""
    part = chunk(delta={"content": "so"})
    whole = chunk(delta={"content": r"\boxed{3}"}) + chunk(finish_reason="stop")
    stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    heads = {
        "length": stream + b"Content-Length: 999\r\n\r\n",
        "error body": b"HTTP/1.1 400 Bad\r\nContent-Length: 999\r\n\r\n",
    }
    chunked = stream + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(part)
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: 11\r\nConnection: close\r\n\r\n" + b'{"data":[]}')
        elif len(seen) == 1:
            seen.append(kind)
            writer.write(heads.get(kind, chunked) + part)
            await writer.drain()
            if kind == "reset":
                writer.transport.abort()
        else:
            seen.append("whole")
            length = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(whole)
            writer.write(stream + length + whole)
        writer.close()

    with raw_server(serve) as url:
        ended = its_eval_run(*run_args(tmp_path, url), "--concurrency", 1)
    assert ended.returncode == 0, ended.stderr
    assert seen == ["whole", kind, "whole", "whole"]
    assert len(rows(tmp_path / "out")) == 3


class raw_server:
    """A server of bytes on a free port, in a thread."""

    def __init__(self, handler: Any, tls: ssl.SSLContext | None = None) -> None:
        self._handler, self._tls = handler, tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        starting = asyncio.start_server(self._handler, "127.0.0.1", 0, ssl=self._tls)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        port = self._server.sockets[0].getsockname()[1]
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)  # with something unread the connection would be reset
    writer.close()


def test_the_cause_of_a_connection_that_failed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(url: str) -> str:
        ended = its_eval_run(*run_args(tmp_path, url))
        assert ended.returncode == 1
        _, line = ended.stderr.splitlines()  # the first says how the problems were read
        return line

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert "connection refused: no server listens there" in told(nobody)
    assert "the server's name cannot be resolved" in told("http://no-such-host.invalid")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with raw_server(hangs_up, context) as url:
        assert "TLS failed" in (said := told(url))
        assert "SSL_CERT_FILE" in said
    with raw_server(hangs_up) as url:
        assert "Server disconnected" in told(url)
    monkeypatch.setenv("HTTP_PROXY", nobody.replace("//", "//me:secret@"))
    monkeypatch.setenv("NO_PROXY", "")
    said = told("http://example.invalid")
    assert "through the environment's proxy http://***@127.0.0.1" in said
    assert "secret" not in said
    monkeypatch.setenv("NO_PROXY", "example.invalid")
    assert through_proxy("http://example.invalid/v1") == ""


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "foo://x", "http://[", "http://h:99999"])
def test_a_proxy_that_cannot_be_used_is_one_line(
    proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    ended = its_eval_run(*run_args(tmp_path, "http://example.invalid"))
    assert ended.returncode in {1, 2}
    _, line = ended.stderr.splitlines()
    assert "proxy" in line.lower()


def test_a_cause_is_found_in_groups_and_below() -> None:
    group = ExceptionGroup("all failed", [OSError("a"), ConnectionRefusedError("no")])
    outer = openai.OpenAIError("Connection error.")
    outer.__cause__ = group
    assert cause(outer) == "connection refused: no server listens there"
    outer.__cause__ = OSError("reset by peer")
    outer.__cause__.__context__ = IndexError("pop from an empty deque")
    assert cause(outer) == "OSError: reset by peer"
    assert cause(RuntimeError()) == "RuntimeError: RuntimeError"


def sample(number: int, **more: Any) -> EvalSample:
    return EvalSample(f"p{number}", 0, 1, "7", "q", **more)


def test_a_log_has_a_line_each_minute_whether_or_not_an_answer_comes() -> None:
    clock, lines = Clock(), list[str]()
    waiting: list[str | None] = [None]
    progress = RunProgress(10, [sample(0, correct=True)], lambda: waiting[0], clock)
    progress.show = log(progress, lines.append, clock)
    progress.on_sample(sample(1, tokens=600, correct=True))
    assert lines == []
    clock.now += LINE_SECONDS
    progress.tick()
    progress.tick()
    clock.now += LINE_SECONDS
    progress.on_sample(sample(2, error="x"))
    waiting[0] = "waiting for the server, 40 s of 300"
    clock.now += LINE_SECONDS
    progress.tick()
    assert lines == [
        "its-eval: 2 of 10, solved 2/2 (34.2%-100.0%), 10 tokens/s, 8 min left",
        "its-eval: 3 of 10, solved 2/3 (20.8%-93.9%), 1 failed, 5 tokens/s, 7 min left",
        "its-eval: 3 of 10, waiting for the server, 40 s of 300, 10 min left",
    ]


def test_a_run_in_a_log_says_how_it_ended(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    async def slow() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.05)
        yield chunk(delta={"content": r"\boxed{3}"})
        yield chunk(finish_reason="stop")

    engine.scripts["m"] = lambda body: StreamingResponse(slow(), media_type="text/event-stream")
    ended = its_eval_run(*run_args(tmp_path, engine_url))
    assert "its-eval: 3 of 3, solved 1/3" in ended.stderr


@pytest.mark.parametrize("status", [503, 429])
def test_a_server_that_starts_is_waited_for_before_the_run(
    status: int, engine: Engine, engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.asking.server.POLL_SECONDS", 0.02)
    engine.listing = status
    said: list[str] = []

    async def connected() -> None:
        opening = asyncio.create_task(connect(f"{engine_url}/v1", "x", said.append))
        while engine.looks < 3:  # noqa: ASYNC110 - the engine is in another thread
            await asyncio.sleep(0.01)
        engine.listing = 200
        server = await opening
        await server.client.close()

    asyncio.run(connected())
    (line,) = said
    assert f"the server is not ready ({status}" in line


def test_a_key_that_no_header_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvalError, match="API key has characters"):
        asyncio.run(connect("http://127.0.0.1:9/v1", "clé\u2028"))
