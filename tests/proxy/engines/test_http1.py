"""The relay's own HTTP client against servers that do what servers do."""

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from proxy.engines import http1
from proxy.engines.connection import PIECE
from proxy.engines.http1 import Pool
from proxy.engines.response import HttpError

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def serving(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def answers(*responses: bytes) -> Talk:
    """Return a server that answers each request of a connection with the next response."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(response)
            await writer.drain()

    return talk


async def ask(pool: Pool, seconds: float = 5) -> tuple[int, bytes]:
    with await pool.send(b"POST", b"/x", b"", b"{}", seconds) as response:
        return response.status, await response.read()


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.0 200 OK\r\n\r\nok"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE


@pytest.mark.parametrize("response", [WHOLE, CHUNKED, UNTIL_CLOSED, CONTINUE])
async def test_bodies_however_they_are_framed(response: bytes) -> None:
    async with serving(answers(response)) as port:
        pool = Pool(f"http://127.0.0.1:{port}/v1")
        assert await ask(pool) == (200, b"ok")
        pool.close()


async def test_a_connection_is_used_again_while_it_is_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answers(WHOLE, CHUNKED, WHOLE)(reader, writer)

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        for _ in range(3):
            assert await ask(pool) == (200, b"ok")
            await asyncio.sleep(2 * http1.SETTLE_SECONDS)
        assert connections == 1
        await asyncio.sleep(0.05)  # the server has closed it by now
        assert await ask(pool) == (200, b"ok")
        assert connections == 2
        monkeypatch.setattr(http1, "IDLE_SECONDS", 0.0)
        assert await ask(pool) == (200, b"ok")
        assert connections == 3
        pool.close()


async def test_a_server_that_closes_after_a_stream_loses_no_request() -> None:
    """As llama.cpp does: the end is under way when the next request takes the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answers(CHUNKED)(reader, writer)
        await asyncio.sleep(0.002)

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        for _ in range(5):
            assert await ask(pool) == (200, b"ok")
        pool.close()


async def test_a_server_that_keeps_streams_open_is_known_by_the_first() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answers(*[CHUNKED] * 9)(reader, writer)

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        await ask(pool)
        await asyncio.sleep(2 * http1.SETTLE_SECONDS)
        for _ in range(5):
            assert await ask(pool) == (200, b"ok")
        assert connections == 1
        pool.close()


BROKEN = [
    (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "broken"),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok", "broken"),
    (b"HTTP/1.1 200 OK\r\n", "broken"),
    (b"", "broken"),
    (b"SSH-2.0-OpenSSH\r\n", "protocol"),
    (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nxx", "protocol"),
    (b"HTTP/1.1 200 OK\r\n" + b"x-long: " + b"x" * 400_000, "protocol"),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "protocol"),
]


def closes_second(first_words: bytes = b"", first_closes: bool = False) -> tuple[Talk, list[int]]:
    """A server that answers a connection's first request and closes on its second one.

    `first_words` are what it says before it closes; with `first_closes` it never answers at all.
    """
    asked: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            await reader.readuntil(b"{}")
            asked.append(number)
            if number or first_closes:
                writer.write(first_words)
                return
            writer.write(WHOLE)

    return talk, asked


def answers_once(server: socket.socket, then: bytes, reset: bool, heard: list[bytes]) -> None:
    """Answer one request of each connection, say `then`, and close; `reset` does so hard."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            heard.append(connection.recv(65536))
            connection.sendall(WHOLE + then)
            if reset:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                time.sleep(0.05)  # or the reset would overtake the answer


@pytest.mark.parametrize(("then", "reset"), [(b"", False), (b"", True), (WHOLE, False)])
async def test_a_connection_that_ended_before_its_use_is_not_used(then: bytes, reset: bool) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=answers_once, args=(server, then, reset, heard))
        thread.start()
        pool = Pool(f"http://127.0.0.1:{port}")
        for _ in range(3):
            assert await ask(pool) == (200, b"ok")
            time.sleep(0.15)  # noqa: ASYNC251 - the loop must not hear of the end by itself
        pool.close()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert len(heard) == 3, "every request arrived once, on a connection of its own"


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 200 OK\r\n", WHOLE[:-1]])
async def test_what_an_engine_may_have_received_is_not_sent_again(words: bytes) -> None:
    talk, asked = closes_second(words)
    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        await ask(pool)
        with pytest.raises(HttpError) as error:
            await ask(pool)
        pool.close()
    assert error.value.kind == "broken"
    assert asked == [0, 1]


async def test_a_new_connection_that_closes_is_a_fault() -> None:
    talk, asked = closes_second(first_closes=True)
    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        with pytest.raises(HttpError):
            await ask(pool)
        pool.close()
    assert asked == [0]


@pytest.mark.parametrize(("response", "kind"), BROKEN)
async def test_a_broken_answer_is_an_error(response: bytes, kind: str) -> None:
    async with serving(answers(response)) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        with pytest.raises(HttpError) as error:
            await ask(pool)
        assert error.value.kind == kind
        pool.close()


async def test_what_came_before_the_end_is_handed_on() -> None:
    cut = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"
    async with serving(answers(cut)) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        got: list[bytes] = []

        async def relay() -> None:
            with await pool.send(b"POST", b"/", b"", b"", 5) as response:
                async for chunk in response.chunks():
                    got.append(chunk)

        with pytest.raises(HttpError, match="closed"):
            await relay()
        assert got == [b"ok"]


async def test_silence_is_a_timeout_and_a_slow_stream_is_not() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n")
        for _ in range(8):
            writer.write(b"x")
            await asyncio.sleep(0.1)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async with serving(slowly) as port:
        assert await ask(Pool(f"http://127.0.0.1:{port}"), 0.4) == (200, b"xxxxxxxx")
    async with serving(silent) as port:
        with pytest.raises(HttpError) as error:
            await ask(Pool(f"http://127.0.0.1:{port}"), 0.2)
        assert error.value.kind == "timeout"


async def test_nobody_there_is_refused() -> None:
    with pytest.raises(HttpError) as error:
        await ask(Pool("http://127.0.0.1:9"))
    assert error.value.kind == "refused"


async def test_leaving_early_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        closed.set()

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        task = asyncio.create_task(ask(pool))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait_for(closed.wait(), 1)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_fast_engine_waits_for_a_slow_reader() -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n")
        for _ in range(64):
            writer.write(b"x" * 2**20)
            await writer.drain()
            sent += 1

    async with serving(talk) as port:
        got = 0
        pool = Pool(f"http://127.0.0.1:{port}")
        with await pool.send(b"POST", b"/", b"", b"", 5) as response:
            chunks = response.chunks()
            got += len(await anext(chunks))
            await asyncio.sleep(0.3)
            assert sent < 32, "the engine was not held back"
            async for chunk in chunks:
                got += len(chunk)
        assert got == 64 * 2**20


async def test_what_nobody_asked_for_spoils_a_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
        await asyncio.sleep(0.05)
        writer.write(WHOLE.replace(b"ok", b"no"))
        await asyncio.sleep(0.2)

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        assert await ask(pool) == (200, b"ok")
        await asyncio.sleep(0.1)
        assert await ask(pool) == (200, b"ok")


async def test_an_engine_behind_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    async with serving(answers(WHOLE), theirs) as port:
        with pytest.raises(HttpError) as error:
            await ask(Pool(f"https://localhost:{port}/v1"))
        assert error.value.kind == "refused", "an unknown authority is not trusted"
        assert "certificate that cannot be verified: unable to get" in str(error.value)
        monkeypatch.setattr(ssl, "create_default_context", lambda *_: ours)
        with pytest.raises(HttpError, match="it is for another host") as error:
            await ask(Pool(f"https://127.0.0.1:{port}/v1"))
        assert "127.0.0.1" not in str(error.value)
        assert await ask(Pool(f"https://localhost:{port}/v1")) == (200, b"ok")


async def test_a_tls_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    monkeypatch.setattr(ssl, "create_default_context", lambda *_: ours)
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answers(*[WHOLE] * 5)(reader, writer)

    async with serving(talk, theirs) as port:
        pool = Pool(f"https://localhost:{port}")
        for _ in range(5):
            assert await ask(pool) == (200, b"ok")
            await asyncio.sleep(0.02)
        pool.close()
    assert connections == 1, "what TLS says by itself is no reason to leave a connection"


async def test_an_engine_that_speaks_no_tls_is_named() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(talk) as port:
        with pytest.raises(HttpError, match="does not speak TLS") as error:
            await ask(Pool(f"https://127.0.0.1:{port}"))
        assert error.value.kind == "refused"


EVENTS = [(b"data: 1", True), (b"\r\n: hello", True), (b"{}", False), (b"", False), (b"dat", False)]


@pytest.mark.parametrize("kind", [b"text/plain", b"application/octet-stream"])
@pytest.mark.parametrize(("body", "found"), EVENTS)
async def test_a_stream_is_known_by_its_first_bytes(kind: bytes, body: bytes, found: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(head % (kind, len(body)))
        for byte in body:
            await writer.drain()
            await asyncio.sleep(0.005)
            writer.write(bytes([byte]))

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        with await pool.send(b"POST", b"/x", b"", b"{}", 5) as response:
            assert await response.is_events() is found
            assert await response.read() == body, "nothing was taken"
        pool.close()


LARGE = b"x" * (40 * PIECE + 7)


async def test_a_large_body_in_pieces_arrives_as_it_is() -> None:
    got = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        got.set_result(await reader.readexactly(length))
        writer.write(WHOLE)

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        with await pool.send(b"POST", b"/", b"", [LARGE, b"y" * PIECE, b"z"], 5) as response:
            assert await response.read() == b"ok"
        assert await got == LARGE + b"y" * PIECE + b"z"
        assert len(pool._idle) == 1, "the connection is used again"
        pool.close()


async def test_an_engine_that_does_not_read_holds_no_copy_of_the_body() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        sending = asyncio.create_task(pool.send(b"POST", b"/", b"", [LARGE * 20], 30))
        connection = None
        while connection is None or not connection._full:
            await asyncio.sleep(0.01)
            connection = next(iter(pool._open), None)
        assert connection._transport is not None
        waiting = connection._transport.get_write_buffer_size()
        assert waiting <= 4 * PIECE
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert not pool._open or not connection.usable
        pool.close()


async def test_an_engine_that_stops_reading_is_silent() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        with pytest.raises(HttpError) as failed:
            await pool.send(b"POST", b"/", b"", [LARGE * 20], 0.3)
        assert failed.value.kind == "timeout"
        pool.close()


async def test_an_answer_before_the_body_was_sent_is_taken_and_ends_the_connection() -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await asyncio.sleep(30)

    async with serving(talk) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        with await pool.send(b"POST", b"/", b"", [LARGE * 20], 10) as response:
            assert (response.status, await response.read()) == (413, b"no")
        assert pool._idle == [], "what is left of the body would be the next request"
        pool.close()
