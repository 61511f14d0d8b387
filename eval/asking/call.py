"""Ask for one chat completion: streamed, as long reasoning would time out, and repeated if needed.

The SDK's own retries are off. It would repeat a panel that was already paid for, and it cannot see
an error that comes inside a stream. Nor is its reader of streams used, which splits lines at U+2028
and the like: those may stand inside a JSON text.
"""

import asyncio
import json
import math
import random
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from its import sse

from .causes import cause, through_proxy
from .patience import Patience, ServerAway, Waiting
from .reply import Broken, CallError, ChatReply, ReplyCollector, read_completion

AWAY_STATUS = frozenset({425, 429, 502, 503, 521, 522, 523, 529})
"""The server is busy, or what stands in front of it does not reach it: wait, as `Patience` says."""

REPEATED_STATUS = frozenset({408, 409, 500, 504, 520, 524})
"""The call may have begun, and have cost something: repeat it a few times."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds between two tries of a call; each wait is twice the one before."""

LONGEST_ASKED = 120.0
"""Seconds that a server may have us wait (`Retry-After`)."""

_FIELDS = frozenset(
    {"model", "messages", "temperature", "top_p", "max_tokens", "seed", "stream_options"}
)
_SEED = re.compile(r"\bseed\b")


class SeedRefused(CallError):
    """The server refuses the request, and names `seed`."""


async def ask(
    client: openai.AsyncOpenAI,
    body: Mapping[str, Any],
    *,
    timeout: float,
    retries: int,
    patience: Patience,
) -> ChatReply:
    """Return the answer to `body`; try again while the server is away, or its answer breaks off.

    Each try may take `timeout` seconds. A broken answer is asked for at most `retries` times more;
    a server that is away or busy is waited for as `patience` says. With 0 retries nothing is tried
    again.

    Raises:
        CallError: it failed for good; `SeedRefused` if only the seed was wrong.
        ServerAway: the run's patience is over.
    """
    broken = tries = 0
    with patience.call() as waiting:
        while True:
            try:
                reply = await _try_once(client, body, timeout)
            except TimeoutError as error:
                raise CallError(f"no answer in {timeout:g} s") from error
            except (openai.OpenAIError, Broken) as error:
                broken += not _is_away(error)
                if broken > retries or not retries or not _can_be_repeated(error):
                    raise _failed(error, body) from error
                await asyncio.sleep(_seconds_to_wait(error, tries, waiting))
                tries += 1
            else:
                waiting.is_there()
                return reply


def _can_be_repeated(error: Exception) -> bool:
    """Tell whether trying again can help, and the server does not forbid it.

    A call that took its whole time is not repeated: a second try would most likely take it too.
    """
    if isinstance(error, openai.APIStatusError):
        forbidden = error.response.headers.get("x-should-retry") == "false"
        broke = "insufficient_quota" in str(error.code)  # waiting brings no money
        known = error.status_code in AWAY_STATUS | REPEATED_STATUS
        return known and not forbidden and not broke
    return isinstance(error, openai.APIConnectionError | Broken)


def _is_away(error: Exception) -> bool:
    if isinstance(error, openai.APIStatusError):
        return error.status_code in AWAY_STATUS
    return isinstance(error, openai.APIConnectionError)


def _seconds_to_wait(error: Exception, tries: int, waiting: Waiting) -> float:
    """Return what the server asks for (`Retry-After`), else twice the last wait, with jitter.

    Raises:
        ServerAway: the run's patience is over.
        CallError: this call's is, while others are answered.
    """
    asked = 0.0
    if isinstance(error, openai.APIStatusError):
        asked = min(_retry_after(error.response.headers.get("retry-after", "")), LONGEST_ASKED)
    wait = asked or min(FIRST_WAIT * 2 ** min(tries, 10), LONGEST_WAIT) * random.uniform(0.5, 1)
    if not _is_away(error):
        waiting.is_there()
        return wait
    try:
        left = waiting.seconds_left()
    except ServerAway as away:
        raise ServerAway(f"{away}: {told(error)}") from error
    if left <= 0:
        raise CallError(told(error)) from error
    return min(wait, left)  # the last try comes when the time is over


def _retry_after(text: str) -> float:
    """Return the seconds of a `Retry-After` header, a number or a date; 0 if it is neither."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _failed(error: Exception, body: Mapping[str, Any]) -> CallError:
    refused = isinstance(error, openai.APIStatusError) and error.status_code in {400, 422}
    said = f"{getattr(error, 'body', '')} {error}".lower()  # the name may stand in `param` alone
    names_seed = refused and body.get("seed") is not None and _SEED.search(said)
    return (SeedRefused if names_seed else CallError)(told(error))


def told(error: Exception) -> str:
    """Return why a try failed, in a line."""
    if isinstance(error, openai.APIStatusError):
        return f"{error.status_code} {_message(error)}"[:500]
    if isinstance(error, openai.APIConnectionError):
        return f"{cause(error)}{through_proxy(str(error.request.url))}"[:500]
    return str(error)[:500]


def _message(error: openai.APIStatusError) -> str:
    """Return what the server says: OpenAI's error, another's text, or the status alone."""
    body = error.body
    said = body.get("message") or body.get("detail") if isinstance(body, dict) else None
    if not isinstance(said, str):  # FastAPI's list of faults, or a text in place of an object
        said = body if isinstance(body, str) else json.dumps(body) if body else error.message
    text = said or error.message
    return " ".join(text.removeprefix(f"Error code: {error.status_code} - ").split())


async def _try_once(
    client: openai.AsyncOpenAI, body: Mapping[str, Any], timeout: float
) -> ChatReply:
    more = {key: value for key, value in body.items() if key not in _FIELDS}  # `stream` too
    call = client.chat.completions.with_streaming_response.create(
        **{key: value for key, value in body.items() if key in _FIELDS},
        stream=True, extra_body=more or None,
    )  # fmt: skip
    async with asyncio.timeout(timeout):
        try:
            async with call as response, aclosing(_pieces(response.iter_bytes())) as pieces:
                return await _read(pieces)
        except (openai.OpenAIError, CallError, Broken, TimeoutError):
            raise
        except UnicodeEncodeError as error:
            raise CallError(
                "the request has half of a surrogate pair, which UTF-8 cannot carry"
            ) from error
        except Exception as error:
            # The SDK lets through whatever its transport raises while a body is read: httpx's
            # errors in openai 2.x, httpx2's in 3.x. A cancellation is no `Exception`, and passes.
            raise Broken(f"the answer broke off: {cause(error)}") from error


async def _pieces(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    async for piece in pieces:
        yield piece


async def _read(pieces: AsyncIterator[bytes]) -> ChatReply:
    """Read a stream or a whole answer: which it is its first bytes say, whatever its type."""
    begun = b""
    async for piece in pieces:
        begun += piece
        is_stream = sse.looks_like_events(begun)
        if is_stream:
            return await _read_stream(begun, pieces)
        if is_stream is False:
            return read_completion(b"".join([begun, *[piece async for piece in pieces]]))
    raise Broken("the answer is empty")


async def _read_stream(begun: bytes, pieces: AsyncIterator[bytes]) -> ChatReply:
    found, reader = ReplyCollector(), sse.Reader()
    if not found.take_all(reader.feed(begun)):
        async for piece in pieces:
            if found.take_all(reader.feed(piece)):
                break
        else:
            found.take_all(reader.close())
    if found.finish_reason is None:
        raise Broken("the stream ended without finish_reason")
    return found.reply()
