"""HTTP/1.1 as clients speak it, and as those who mean harm do: no byte belongs to two requests."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from proxy.serving import connection
from proxy.serving.connection import Connection
from proxy.serving.framing import MOST_HEAD
from tests.scripted import Engine, serving, streams

HOST = b"host: 127.0.0.1\r\n"
UPGRADE = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\n" + HOST + b"\r\n"
NEXT = b"POST /next HTTP/1.1\r\n" + HOST + b"content-length: 5\r\n\r\nhello"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was understood; `/early` answers before the body is read."""
    if scope["type"] != "http":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    body, more = b"", scope["path"] != "/early"
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [name.decode() for name, _ in scope["headers"]]
    told = {"method": scope["method"], "path": scope["path"], "body": body.decode("latin-1"),
            "headers": headers}  # fmt: skip
    raw = json.dumps(told).encode()
    length = [(b"content-length", b"%d" % len(raw))] if scope["path"] != "/endless" else []
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": raw})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    protocol = partial(Connection, app=echo, seconds=2.0, stalled=2.0)
    with serving(echo, protocol) as url:
        yield httpx.URL(url).port or 80


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def answer(client: socket.socket) -> tuple[int, bytes]:
    """Return status and body of the next answer; status 0 at the connection's end."""
    got = b""
    try:
        while b"\r\n\r\n" not in got:
            data = client.recv(1)
            if not data:
                return 0, got
            got += data
        found = re.search(rb"content-length: (\d+)", got)
        length, body = int(found[1]) if found else 0, b""
        while len(body) < length:
            body += client.recv(length - len(body))
        return int(got[9:12]), body
    except ConnectionError:
        return 0, got


def path(body: bytes) -> str:
    told: str = json.loads(body)["path"]
    return told


# Upgrades -----------------------------------------------------------------------------------

SIZED = b"content-length: %d\r\n\r\n" % len(HIDDEN)
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
WEBSOCKET = b"Upgrade: websocket\r\nConnection: upgrade\r\nsec-websocket-version: 13\r\n"


@pytest.mark.parametrize("wish", [UPGRADE, WEBSOCKET, UPGRADE.upper(), b"upgrade: h2c\r\n" * 2])
@pytest.mark.parametrize(("framing", "body"), [(SIZED, HIDDEN), (CHUNKED, CHUNKS)])
@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_an_upgrade_is_ignored(
    port: int, wish: bytes, framing: bytes, body: bytes, pause: float
) -> None:
    with closing(connect(port)) as client:
        client.sendall(b"POST /first HTTP/1.1\r\n" + HOST + wish + framing)
        time.sleep(pause)
        client.sendall(body + NEXT)
        status, got = answer(client)
        assert status == 200
        told = json.loads(got)
        assert (told["path"], told["body"]) == ("/first", HIDDEN.decode())
        assert "upgrade" not in told["headers"]
        status, got = answer(client)
        assert (status, path(got)) == (200, "/next")


def test_a_hundred_upgrades_use_one_connection(port: int) -> None:
    with closing(connect(port)) as client:
        for _ in range(100):
            client.sendall(b"POST /first HTTP/1.1\r\n" + HOST + UPGRADE + SIZED)
            client.sendall(HIDDEN)
            assert answer(client)[0] == 200


# Answers before the body is here ------------------------------------------------------------


@pytest.mark.parametrize("more", [b"", b"expect: 100-continue\r\n", UPGRADE])
@pytest.mark.parametrize(("framing", "body"), [(SIZED, HIDDEN), (CHUNKED, CHUNKS)])
def test_an_early_answer_is_the_last_one(
    port: int, more: bytes, framing: bytes, body: bytes
) -> None:
    with closing(connect(port)) as client:
        client.sendall(b"POST /early HTTP/1.1\r\n" + HOST + more + framing)
        time.sleep(0.1)
        client.sendall(body + NEXT)
        status, got = answer(client)
        assert (status, path(got)) == (200, "/early")
        assert answer(client) == (0, b""), "what follows is not a request"


def test_a_client_that_still_sends_reads_its_answer(port: int) -> None:
    with closing(connect(port)) as client:
        client.sendall(b"POST /early HTTP/1.1\r\n" + HOST + b"content-length: 999999999\r\n\r\n")
        started = time.monotonic()
        try:
            while time.monotonic() - started < 60:
                client.sendall(b"x" * 1000)
                time.sleep(0.05)
        except ConnectionError:
            pass
        assert time.monotonic() - started >= connection.LINGER_SECONDS * 0.9
        assert time.monotonic() - started < 50, "it does not read on for ever"


def test_an_answer_to_one_who_sends_is_not_lost(port: int) -> None:
    with closing(connect(port)) as client:
        client.sendall(b"POST /early HTTP/1.1\r\n" + HOST + b"content-length: 9999999\r\n\r\n")
        for _ in range(5):
            client.sendall(b"x" * 1000)
            time.sleep(0.05)
        assert answer(client)[0] == 200


def test_a_body_that_comes_at_once_keeps_the_connection(port: int) -> None:
    with closing(connect(port)) as client:
        for _ in range(3):
            client.sendall(NEXT.replace(b"/next", b"/early"))
            assert answer(client)[0] == 200


# What is no HTTP ----------------------------------------------------------------------------

POST = b"POST /first HTTP/1.1\r\n" + HOST
REFUSED = {
    "CONNECT": (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "a folded header": (POST + b"x: a\r\n b\r\n\r\n", 400),
    "a folded upgrade": (POST + b"connection: upgrade\r\nupgrade:\r\n h2c\r\n\r\n", 400),
    "two lengths": (POST + b"content-length: 0\r\n" + SIZED, 400),
    "two framings": (POST + b"transfer-encoding: chunked\r\n" + SIZED, 400),
    "a length that is none": (POST + b"content-length: +5\r\n\r\nhello", 400),
    "no length": (POST + b"content-length: \r\n\r\n", 400),
    "another framing": (POST + b"transfer-encoding: xchunked\r\n\r\n", 400),
    "a bad chunk": (POST + CHUNKED + b"zz\r\n", 400),
    "line ends": (b"GET /first HTTP/1.1\nhost: x\n\n", 400),
    "a space before a colon": (POST + b"upgrade : h2c\r\nconnection: upgrade\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/2 that is framed like ours": (POST.replace(b"1.1", b"2.0") + SIZED, 400),
    "HTTP/0.9": (b"GET /first HTTP/0.9\r\n\r\n", 400),
    "no version": (b"GET /first\r\n\r\n", 400),
    "a target that is none": (b"GET http://[ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a target beyond ASCII": (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "endless headers": (POST + b"x: %s\r\n\r\n" % (b"y" * MOST_HEAD), 431),
    "endless headers without an end": (POST + b"x: %s" % (b"y" * MOST_HEAD), 431),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_http_is_an_error_in_json_and_the_end(port: int, what: str) -> None:
    sent, expected = REFUSED[what]
    with closing(connect(port)) as client:
        client.sendall(sent)
        status, got = answer(client)
        assert status == expected
        assert json.loads(got)["error"]["message"]
        try:
            client.sendall(HIDDEN)
        except ConnectionError:
            return
        assert answer(client) == (0, b"")


def test_trailers_are_no_headers_and_have_a_limit(port: int) -> None:
    with closing(connect(port)) as client:
        client.sendall(POST + CHUNKED + b"2\r\nhi\r\n0\r\nauthorization: Bearer x\r\n\r\n" + NEXT)
        told = json.loads(answer(client)[1])
        assert (told["body"], "authorization" in told["headers"]) == ("hi", False)
        assert answer(client)[0] == 200
        client.sendall(POST + CHUNKED + b"2\r\nhi\r\n0\r\nx: ")
        with pytest.raises(ConnectionError):  # noqa: PT012
            for _ in range(200):
                client.sendall(b"y" * 10_000)
                time.sleep(0.02)


def test_http_1_0_knows_no_chunks(port: int) -> None:
    with closing(connect(port)) as client:
        client.sendall(b"GET /endless HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        got = b"".join(iter(lambda: client.recv(65536), b""))
        head, _, body = got.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert path(body) == "/endless"


def test_a_stream_over_http_1_0_has_no_chunks(proxy: httpx.Client, engine: Engine) -> None:
    engine.scripts["n"] = streams([b"data: one\n\n", b"data: [DONE]\n\n"])
    sent = b'{"model":"n","stream":true,"messages":[{"role":"user","content":"q"}]}'
    head = b"POST /v1/chat/completions HTTP/1.0\r\ncontent-type: application/json\r\n" + HOST
    with closing(connect(proxy.base_url.port or 80)) as client:
        client.sendall(head + b"content-length: %d\r\n\r\n%s" % (len(sent), sent))
        got = b"".join(iter(lambda: client.recv(65536), b""))
    assert got.partition(b"\r\n\r\n")[2] == b"data: one\n\ndata: [DONE]\n\n"


# Any requests, in any pieces ----------------------------------------------------------------


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class State:
    """What uvicorn's server shares with its connections."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.default_headers: list[tuple[bytes, bytes]] = []
        self.total_requests = 0


async def answers(pieces: list[bytes]) -> tuple[list[dict[str, Any]], bool]:
    """Feed `pieces` to a connection; return what was answered, and whether it was closed."""
    wire = Wire()
    one = Connection(None, State(), {}, app=echo, seconds=60.0, stalled=60.0)
    one.connection_made(wire)
    for piece in pieces:
        one.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    one.connection_lost(None)
    bodies = re.split(rb"HTTP/1\.1 200 OK\r\n(?:[^\r]+\r\n)*\r\n", wire.written)[1:]
    return [json.loads(body) for body in bodies], wire.closed


CONTENT = st.binary(max_size=60) | st.sampled_from([HIDDEN, b"\r\n\r\n", b"0\r\n\r\n", b"\r\n" * 9])


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return a request as bytes, and its body."""
    body = draw(CONTENT)
    more = draw(st.sampled_from([b"", UPGRADE, WEBSOCKET]))
    if not draw(st.booleans()):
        return POST + more + b"content-length: %d\r\n\r\n%s" % (len(body), body), body
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
    parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    trailer = draw(st.sampled_from([b"", b"x: y\r\n"]))
    return POST + more + CHUNKED + chunks + b"0\r\n" + trailer + b"\r\n", body


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
@settings(max_examples=300, deadline=None)
def test_requests_are_the_same_in_any_pieces(
    sent: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    raw = b"".join(request for request, _ in sent)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw)), max_size=12)) | {len(raw)})
    pieces = [raw[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]
    told, closed = asyncio.run(answers(pieces))
    assert [each["body"].encode("latin-1") for each in told] == [body for _, body in sent]
    assert {each["path"] for each in told} == {"/first"}
    assert not closed
