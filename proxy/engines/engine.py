"""The engines: what is sent to them, how often it is tried, and what their failures mean.

No client's key reaches an engine, no engine's key reaches anybody else, and no address is named.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec

from ..base.errors import UNREADABLE, TooMany
from ..config.settings import EngineSettings
from ..telemetry.metrics import Metrics
from . import refusals
from .errors import EngineError
from .http1 import Pool
from .limits import Full, Retries, Slots
from .response import HttpError, Response
from .servers import EngineServer
from .stream_options import StreamOptions
from .tokens import Tally

READY_SECONDS = 2.0
DETAIL_LENGTH = 500
MOST_REFUSAL = 1_000_000
CHAT = "/v1/chat/completions"

_LOG = logging.getLogger("its.proxy")


Body: TypeAlias = bytes | Callable[[], Sequence[bytes]]
"""A call's body, or what makes its pieces; they are made when the call has its slot."""


class Engine:
    """An OpenAI-compatible server; `server` has been started, and is stopped by `close`."""

    def __init__(self, settings: EngineSettings, server: EngineServer, metrics: Metrics) -> None:
        self.name, self._server, self._metrics = settings.name, server, metrics
        gauge = metrics.queue(settings.name)
        size, queue = settings.max_concurrency, settings.max_queue
        self.slots = Slots(f"engine {settings.name!r}", size, queue, gauge)
        self._key = server.api_key
        self._seconds = settings.timeout_s
        self._pool = Pool(server.base_url)
        self._root = urlsplit(server.base_url).path.rstrip("/").removesuffix("/v1")
        # Encoded once: these lines are the same for every call.
        authorization = f"authorization: Bearer {self._key}\r\n" if self._key else ""
        self._headers = f"content-type: application/json\r\n{authorization}".encode()
        self.forward_headers = tuple(name.encode() for name in settings.forward_headers)
        self.stream_options = StreamOptions()
        self.score_path = 0
        """Which of the paths for scores it has, as `panel.scoring` finds out."""
        self.adapters = server.adapters
        self.calls = 0
        """How many calls have had a slot."""

    async def close(self) -> None:
        """Close every connection, and stop what was started."""
        self._pool.close()
        await self._server.stop()

    def post(self, path: str, body: Body, headers: bytes, retries: Retries) -> "EngineCall":
        """Return an `async with` block that sends `body` and yields the response: a 200.

        Tried again, within `retries`, only while nothing was generated: an engine that cannot be
        reached, or that answers 429, 502, 503 or 504.

        Raises:
            EngineError: for everything else, also while the response is being read.
            TooMany: the key that asks has no slot and no place in its queue.
        """
        return EngineCall(self, path, body, headers, retries)

    async def complete(self, path: str, body: Body, headers: bytes, retries: Retries) -> bytes:
        """Return the JSON of a completion that is not streamed, as the engine wrote it."""
        async with self.post(path, body, headers, retries) as response:
            raw = await response.read()
        self.check(raw, completion=True)
        return raw

    def check(self, raw: bytes, *, completion: bool) -> None:
        """Refuse what is no JSON, or, for a `completion`, has no choice. Nothing is built.

        Raises:
            EngineError: it is something else.
        """
        try:
            (_CHOICES if completion else _ANY).decode(raw)
        except UNREADABLE as error:
            raise self._protocol_error("a chat completion" if completion else "JSON") from error

    def completion(self, raw: bytes) -> dict[str, Any]:
        """Return a completion, read in full.

        Raises:
            EngineError: it is not JSON with a choice.
        """
        try:
            found = msgspec.json.decode(raw)
        except UNREADABLE as error:
            raise self._protocol_error("a chat completion") from error
        choices = found.get("choices") if isinstance(found, dict) else None
        if not isinstance(choices, list) or not choices:
            raise self._protocol_error("a chat completion")
        completion: dict[str, Any] = found
        return completion

    def _protocol_error(self, wanted: str) -> EngineError:
        return EngineError("protocol", f"engine {self.name!r} sent something else than {wanted}")

    async def send(self, path: str, body: Body, headers: bytes, retries: Retries) -> Response:
        """Try once: return the response, whose slots `release` frees.

        Raises:
            EngineError: the engine cannot be reached, has no slot, or does not answer 200.
            TooMany: the key that asks has no slot and no place in its queue.
        """
        await self._take(retries)
        self.calls += 1
        # From here every way out gives the slots back, a cancellation (the client left) included.
        response = None
        try:
            target, lines = (self._root + path).encode(), self._headers + headers
            sent = body if isinstance(body, bytes) else body()
            response = await self._pool.send(b"POST", target, lines, sent, self._seconds)
            if response.status == 200:
                return response
            raise await self._refusal(response)
        except BaseException as error:
            self.release(response, retries)
            if isinstance(error, HttpError):
                raise self.translate(error) from error
            raise

    async def _take(self, retries: Retries) -> None:
        """Take a slot of the key that asks, then one of this engine; never the other way round."""
        # Two calls that took them in opposite orders would wait for each other.
        if retries.key is not None:
            try:
                await retries.key.take(retries)
            except Full as full:
                raise TooMany(str(full)) from None
        try:
            await self.slots.take(retries)
        except BaseException as error:
            if retries.key is not None:
                retries.key.give()
            if isinstance(error, Full):
                raise EngineError("busy", str(error), 429, passed={"retry-after": "1"}) from None
            raise

    def release(self, response: Response | None, retries: Retries) -> None:
        """Give back what `send` took."""
        self.slots.give()
        if retries.key is not None:
            retries.key.give()
        if response is not None:
            response.release()

    def count(self, error: EngineError) -> None:
        """Count a failed call. Its text may quote the question: it is for `debug` only."""
        self._metrics.engine_error(self.name, error.kind)
        _LOG.debug("engine call failed (%s): %s", error.kind, error.detail)

    async def fault(self) -> str | None:
        """Ask whether the engine answers; return what is wrong, or `None`.

        Listing models is cheap; SGLang's `/health` runs a generation.
        """
        target, said = f"{self._root}/v1/models".encode(), ""
        for _ in range(2):  # a GET may be sent again where a kept connection was being closed
            try:
                with await self._pool.send(
                    b"GET", target, self._headers, b"", READY_SECONDS
                ) as got:
                    await got.read(MOST_REFUSAL)
                    return None if got.status == 200 else f"answers {got.status} to GET /v1/models"
            except HttpError as error:
                said = str(error)
                if error.kind != "broken":
                    break
        return said

    def translate(self, error: HttpError) -> EngineError:
        """Return what an error of the transport means; the engine's address stays unsaid."""
        return EngineError(error.kind, f"engine {self.name!r} {error}")

    def quote(self, text: str) -> str:
        """Return an engine's words, not too many; they may repeat the key that it was sent."""
        # The key goes first: cut in two, it would not be found.
        return (text.replace(self._key, "***") if self._key else text)[:DETAIL_LENGTH]

    async def _refusal(self, response: Response) -> EngineError:
        raw = await response.read(MOST_REFUSAL)
        said = refusals.read(raw)
        told = {
            name: self.quote(value) if isinstance(value, str) else value
            for name, value in said.told.items()
        }
        return EngineError(
            "status",
            f"engine {self.name!r} answered {response.status}: {self.quote(said.text)}",
            response.status,
            told=told,
            passed=refusals.passed(response.headers),
            blames_options=refusals.blames_stream_options(raw),
        )


class EngineCall:
    """A call in progress: an `async with` block that holds a slot and a connection."""

    __slots__ = ("_body", "_engine", "_headers", "_path", "_response", "_retries", "_tally")

    def __init__(
        self, engine: Engine, path: str, body: Body, headers: bytes, retries: Retries
    ) -> None:
        self._engine, self._retries = engine, retries
        self._path, self._body, self._headers = path, body, headers
        self._response: Response | None = None
        self._tally = Tally(retries.tokens) if retries.tokens is not None else None

    async def __aenter__(self) -> Response:
        # The slot is given back between two attempts: others may use the engine meanwhile.
        while True:
            try:
                call = self._path, self._body, self._headers, self._retries
                self._response = await self._engine.send(*call)
            except EngineError as failure:
                self._engine.count(failure)
                again = failure.retryable and await self._retries.wait(failure.retry_seconds)
                if not again:
                    failure.settle(self._retries)
                    raise
            else:
                if self._tally is not None:
                    self._response.listen(self._tally.feed)
                return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        # First, whatever the reader of the response raised: the slots are others' now.
        self._engine.release(self._response, self._retries)
        if self._tally is not None:
            self._tally.close()
        if isinstance(error, HttpError):
            failure = self._engine.translate(error)
            self._engine.count(failure)
            raise failure from error
        if isinstance(error, EngineError):  # what the reader of the response found wrong with it
            self._engine.count(error)


class _HasChoices(msgspec.Struct):
    """Checks that the whole body is JSON and has a choice, without building it."""

    choices: list[msgspec.Raw]

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("no choices")


_ANY = msgspec.json.Decoder(msgspec.Raw)
_CHOICES = msgspec.json.Decoder(_HasChoices)
