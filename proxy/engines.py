"""The engine client: one pool and one limit for each engine.

aiohttp, because the HTTP client decides how fast a proxy is: under load it costs a tenth of the
CPU of httpx's own pool. It follows no redirect, reads no proxy variable, sends no client's key.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from .errors import UpstreamError
from .settings import EngineSettings

CONNECT_SECONDS = 5.0
READY_SECONDS = 2.0
KEEP_ALIVE_SECONDS = 4.0
"""Shorter than uvicorn's and llama.cpp's 5 s, so that a reused connection is never a dead one."""

DETAIL_LENGTH = 500
_TAG = re.compile(r"<[^>]*>")
PASSED_STATUS = frozenset({400, 413, 422, 429, 503})
"""What an engine says of the request itself, or of its own load; the rest is our 502."""


class EngineError(Exception):
    """An engine call that failed: `kind` as in `its.types.Failure`."""

    def __init__(
        self, kind: str, detail: str, status: int | None = None, retry_after: str | None = None
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail
        self.status, self.retry_after = status, retry_after

    def for_client(self, *, paid: bool = False) -> UpstreamError:
        """Return the error that a client of one member sees."""
        if self.kind == "timeout":
            return UpstreamError(self.detail, status=504, code="engine_timeout", paid=True)
        status = self.status if self.status in PASSED_STATUS else 502
        return UpstreamError(
            self.detail,
            status=status or 502,
            code=f"engine_{self.kind}",
            retry_after=self.retry_after,
            paid=paid,
        )


class Engine:
    """An OpenAI-compatible server at `base_url` (which ends in `/v1`)."""

    def __init__(self, settings: EngineSettings, base_url: str) -> None:
        self.name = settings.name
        self._base_url = base_url
        self._key = settings.api_key
        self._slots = asyncio.Semaphore(settings.max_concurrency)
        headers = {"accept-encoding": "identity", "content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=settings.timeout_s
            ),
            headers=headers,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send `body`; yield the response once the engine has answered 200.

        Raises:
            EngineError: for everything else, also while the response is being read.
        """
        async with self._slots:
            try:
                async with self._session.post(
                    self._base_url + path, data=body, headers=headers, allow_redirects=False
                ) as response:
                    if response.status != 200:
                        raise await self._refusal(response)
                    yield response
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self.translate(error) from error

    def translate(self, error: aiohttp.ClientError | TimeoutError) -> EngineError:
        """Return what an error of the transport means; the engine's address stays unsaid."""
        if isinstance(error, TimeoutError):
            return EngineError("timeout", f"engine {self.name!r} did not answer in time")
        if isinstance(error, aiohttp.ClientConnectorError):
            return EngineError("refused", f"engine {self.name!r} cannot be reached")
        return EngineError("broken", f"engine {self.name!r} broke off: {type(error).__name__}")

    async def complete(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Return the JSON of a chat completion that is not streamed, as the engine wrote it."""
        async with self.post("/chat/completions", body, headers) as response:
            raw = await response.read()
        try:
            msgspec.json.decode(raw, type=_HasChoices)
        except msgspec.MsgspecError as error:
            detail = f"engine {self.name!r} sent something else than a chat completion"
            raise EngineError("protocol", detail) from error
        return raw

    async def ready(self) -> bool:
        """Tell whether the engine answers; listing models is cheap, SGLang's /health is not."""
        try:
            async with self._session.get(
                f"{self._base_url}/models",
                timeout=aiohttp.ClientTimeout(total=READY_SECONDS),
                allow_redirects=False,
            ) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _refusal(self, response: aiohttp.ClientResponse) -> EngineError:
        message = error_text(await response.read())
        if self._key:
            message = message.replace(self._key, "***")
        return EngineError(
            "status",
            f"engine {self.name!r} answered {response.status}: {message}",
            response.status,
            response.headers.get("retry-after"),
        )


class _HasChoices(msgspec.Struct):
    """Checks that the whole body is JSON and has a choice, without building it."""

    choices: list[msgspec.Raw]

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("no choices")


def error_text(raw: bytes) -> str:
    """Return an engine's own words: OpenAI's error object, SGLang's flat one, or plain text."""
    text = raw.decode("utf-8", "replace")
    try:
        body: Any = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return _plain(text)[:DETAIL_LENGTH]
    for key in ("error", "message", "detail"):
        found = body.get(key) if isinstance(body, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str):
            return found[:DETAIL_LENGTH]
    return text[:DETAIL_LENGTH]


def _plain(page: str) -> str:
    """Return the words of an error page."""
    return " ".join(_TAG.sub(" ", page).split())
