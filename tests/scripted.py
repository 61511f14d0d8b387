"""A small OpenAI server that says what a test tells it to, on a real socket.

Each model name has a script: a function of the request's body that returns a response. Everything
that arrives is kept, and so is how many calls were running at once and how many were left by
their caller.
"""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""As `verify` of httpx: a client reads all authorities' certificates otherwise, 30 ms each time."""

Body = dict[str, Any]
Script = Callable[[Body], Response]


@dataclass
class Received:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: Body
    raw: bytes


@dataclass
class Engine:
    """The scripted engine; `scripts` maps a model name to what it says."""

    scripts: dict[str, Script] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    left: int = 0
    looks: int = 0
    cards: list[Body] = field(default_factory=list)
    """What `/v1/models` lists."""
    listing: int = 200
    """Its status."""
    gets: dict[str, Body] = field(default_factory=dict)
    """Answers to GET, by the path."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self.models),
                Route("/{path:path}", self.chat, methods=["POST"]),
                Route("/{path:path}", self.get),
            ]
        )

    async def models(self, request: Request) -> Response:
        self.looks += 1
        return JSONResponse({"object": "list", "data": self.cards}, self.listing)

    async def get(self, request: Request) -> Response:
        found = self.gets.get(request.url.path)
        return JSONResponse(found or {"detail": "Not Found"}, 200 if found else 404)

    async def chat(self, request: Request) -> Response:
        raw = await request.body()
        body = json.loads(raw)
        if "model" not in body:  # somebody looks whether there is such an endpoint
            return JSONResponse({"error": {"message": "no model"}}, 400)
        self.received.append(Received(request.url.path, dict(request.headers), body, raw))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            script = self.scripts[body["model"]](body)
            if isinstance(script, Waiting):
                await script.wait(request, self)
                return script.then
            return script
        finally:
            self.running -= 1

    def bodies(self, model: str) -> list[Body]:
        return [received.body for received in self.received if received.body["model"] == model]


class Waiting(Response):
    """A response that comes after `seconds`, unless the caller leaves before."""

    def __init__(self, seconds: float, then: Response) -> None:
        super().__init__()
        self.seconds, self.then = seconds, then

    async def wait(self, request: Request, engine: Engine) -> None:
        for _ in range(int(self.seconds / 0.02)):
            if await request.is_disconnected():
                engine.left += 1
                return
            await asyncio.sleep(0.02)


def completion(text: str | None, **choice: Any) -> Body:
    return {
        "id": "engine-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "as-the-engine-says",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
                **choice,
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        "engine_field": {"kept": True},
    }


def says(text: str | None, **choice: Any) -> Script:
    return lambda body: JSONResponse(completion(text, **choice))


def says_after(seconds: float, text: str) -> Script:
    return lambda body: Waiting(seconds, JSONResponse(completion(text)))


def fails(status: int, body: Any = None, **headers: str) -> Script:
    payload = {"message": "no", "type": "x"} if body is None else body
    return lambda _: JSONResponse(
        payload, status, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def page(_: Body) -> Response:
    return Response("<html><h1>It works!</h1></html>", media_type="text/html")


CHUNKS = [
    b'data: {"id":"engine-1","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"4"},'
    b'"finish_reason":null}]}\n\n',
    b'data: {"id":"engine-1","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"m","choices":[{"index":0,"delta":{"content":"2"},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]


def streams(chunks: list[bytes], pause: float = 0.0) -> Script:
    async def events() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
            await asyncio.sleep(pause)

    return lambda body: StreamingResponse(events(), media_type="text/event-stream")


def chunk(**choice: Any) -> bytes:
    """Return one chunk of a stream; `usage` goes to its top level."""
    usage = choice.pop("usage", None)
    body: Body = {"id": "engine-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    if choice:
        body["choices"] = [{"index": 0, "delta": {}, "finish_reason": None, **choice}]
    else:
        body["choices"] = []
    if usage is not None:
        body["usage"] = usage
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def usage(prompt: int, completion: int) -> Body:
    total = prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def speaks(*words: str, pause: float = 0.0, counts: bool = True, hangs: bool = False) -> Script:
    """Stream `words`; `counts` says what was used so far, `hangs` never comes to an end."""

    async def events() -> AsyncIterator[bytes]:
        for number, word in enumerate(words, 1):
            used = {"usage": usage(10, number)} if counts else {}
            yield chunk(delta={"content": word}, **used)
            await asyncio.sleep(pause)
        await asyncio.sleep(3600 if hangs else 0)
        yield chunk(finish_reason="stop")
        if counts:
            yield chunk(usage=usage(10, len(words)))
        yield b"data: [DONE]\n\n"

    def script(body: Body) -> Response:
        if not body.get("stream"):
            return JSONResponse(completion("".join(words)))
        return StreamingResponse(events(), media_type="text/event-stream")

    return script


def streams_then_breaks(chunks: list[bytes]) -> Script:
    async def events() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        raise ConnectionError("the engine died")

    return lambda body: StreamingResponse(events(), media_type="text/event-stream")


class QuickServer(uvicorn.Server):
    """A uvicorn that starts and ends at once.

    uvicorn itself looks ten times a second whether to end, and then waits once more. With two
    servers a test that was a third of the suite's time.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.known = threading.Event()
        """Set when the server accepts connections, or never will."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self.known.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.known.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # it writes the Date header
        await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.server_state
        for server in self.servers:
            server.close()
        for connection in list(state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn has no event
                    await asyncio.sleep(0.002)
        for task in state.tasks:
            task.cancel()
        await self.lifespan.shutdown()

    def end(self) -> None:
        """Let the server end; from any thread."""
        with suppress(RuntimeError):  # its loop is closed: it has ended by itself
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._ending.set)


@contextmanager
def serving(app: ASGIApp, http: Any = "httptools") -> Iterator[str]:
    """Serve `app` with a real uvicorn on a free loopback port; yield its address.

    `http` is the protocol class; engines speak uvicorn's own.
    """
    config = uvicorn.Config(
        app, port=0, log_level="critical", timeout_graceful_shutdown=2, http=http, ws="none"
    )
    server = QuickServer(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    server.known.wait()
    if not server.started:
        raise RuntimeError("the server did not start")
    try:
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.end()
        thread.join(10)
