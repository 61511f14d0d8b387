"""Ask for one chat completion: streamed, as long reasoning would time out, and repeated if needed.

The SDK's own retries are off. It would repeat a panel that was already paid for, and it cannot see
an error that comes inside a stream.
"""

import asyncio
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec
import openai
import tenacity

from its import sse
from its.methods.confidence import measure
from its.methods.seam import Logprobs

RETRIED_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds between two tries of a call; each wait is twice the one before."""

_backoff = tenacity.wait_exponential(FIRST_WAIT, LONGEST_WAIT)


class CallError(Exception):
    """A call that failed for good; the message is the reason."""


class _Broken(Exception):
    """A stream that ended before the answer did."""


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What a model answered. `input_time` is what the proxy says of it, if there is one.

    `tool_calls` are functions: `name` and `arguments`. `logprobs` is `None` if none came.
    """

    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    input_time: Mapping[str, Any] = field(default_factory=dict)
    tool_calls: tuple[Mapping[str, str], ...] = ()
    logprobs: Logprobs | None = None

    @property
    def message(self) -> dict[str, Any]:
        """Return the reply as a chat message."""
        tools = [{"type": "function", "function": call} for call in self.tool_calls]
        return {"content": self.text, **({"tool_calls": tools} if tools else {})}

    @property
    def thought(self) -> str:
        """Return the thinking: the engine's own field, or the text before `</think>`."""
        before, mark, _ = self.text.partition("</think>")
        return self.reasoning or (before if mark else "")

    @property
    def tokens(self) -> int:
        return int(self.usage.get("completion_tokens") or 0)

    @property
    def thinking_tokens(self) -> int:
        """Return the tokens of thinking: the engine's count, else a share by characters."""
        details = self.usage.get("completion_tokens_details") or {}
        if details.get("reasoning_tokens"):
            return int(details["reasoning_tokens"])
        total = len(self.text) + len(self.reasoning)
        return round(self.tokens * len(self.thought) / total) if total else 0


async def ask(
    client: openai.AsyncOpenAI, body: Mapping[str, Any], *, timeout: float, retries: int
) -> ChatReply:
    """Return the answer to `body`; try again while the server is away or overloaded.

    Each try may take `timeout` seconds; there are at most `retries` more after the first.

    Raises:
        CallError: it failed for good.
    """
    attempts = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(_can_be_repeated),
        stop=tenacity.stop_after_attempt(retries + 1),
        wait=_seconds_to_wait,
        reraise=True,
    )
    try:
        return await attempts(_try_once, client, body, timeout)
    except TimeoutError as error:
        raise CallError(f"no answer in {timeout:g} s") from error
    except (openai.OpenAIError, _Broken) as error:
        raise CallError(f"{type(error).__name__.lstrip('_')}: {error}"[:500]) from error


def _can_be_repeated(error: BaseException) -> bool:
    """Tell whether trying again can help, and the server does not forbid it.

    A call that took its whole time is not repeated: a second try would most likely take it too.
    """
    if isinstance(error, openai.APIStatusError):
        forbidden = error.response.headers.get("x-should-retry") == "false"
        return error.status_code in RETRIED_STATUS and not forbidden
    return isinstance(error, openai.APIConnectionError | _Broken)


def _seconds_to_wait(state: tenacity.RetryCallState) -> float:
    """Return what the server asks for (`Retry-After`), else twice the last wait, with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, openai.APIStatusError):
        try:
            asked = float(error.response.headers.get("retry-after", ""))
        except ValueError:  # absent, or a date
            asked = 0.0
        if math.isfinite(asked) and asked > 0:
            return min(asked, LONGEST_WAIT)
    return _backoff(state) * random.uniform(0.5, 1)


async def _try_once(
    client: openai.AsyncOpenAI, body: Mapping[str, Any], timeout: float
) -> ChatReply:
    known = {"model", "messages", "temperature", "top_p", "max_tokens", "seed"}
    more = {key: value for key, value in body.items() if key not in known}
    call = client.chat.completions.with_streaming_response.create(
        **{key: value for key, value in body.items() if key in known},
        stream=True, stream_options={"include_usage": True}, extra_body=more or None,
    )  # fmt: skip
    async with (
        asyncio.timeout(timeout),
        call as response,
        aclosing(_unbroken(response.iter_bytes())) as pieces,
    ):
        if "event-stream" in response.headers.get("content-type", ""):
            return await _read_stream(pieces)
        return _read_completion(b"".join([piece async for piece in pieces]))


async def _unbroken(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Pass on a body's bytes; one that breaks off is `_Broken`.

    The SDK lets through whatever its transport raises here: httpx's errors in openai 2.x, httpx2's
    in 3.x. A cancellation or a timeout is no `Exception`, and passes.
    """
    try:
        async for piece in pieces:
            yield piece
    except Exception as error:
        raise _Broken(f"the answer broke off: {type(error).__name__}: {error}") from error


def _read_completion(raw: bytes) -> ChatReply:
    """Read the answer of a server that does not stream."""
    found = _Collector()
    try:
        body = msgspec.json.decode(raw)
        choice = body["choices"][0]
        found.add(choice["message"])
        found.add_logprobs(choice.get("logprobs"))
        found.finish_reason = choice.get("finish_reason")
        found.usage, found.input_time = body.get("usage") or {}, body.get("input_time") or {}
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError) as error:
        raise CallError(f"the answer is no chat completion: {error}") from error
    return found.reply()


async def _read_stream(pieces: AsyncIterator[bytes]) -> ChatReply:
    found, reader = _Collector(), sse.Reader()
    async for piece in pieces:
        if _take_all(found, reader.feed(piece)):
            break
    else:
        _take_all(found, reader.close())
    if found.finish_reason is None:
        raise _Broken("the stream ended without finish_reason")
    return found.reply()


def _take_all(found: "_Collector", events: list[sse.Event]) -> bool:
    """Add events to a reply; tell whether one of them was the end of the stream."""
    for event in events:
        if event.data.strip() == b"[DONE]":
            return True
        try:
            found.take(event.data)
        except (TypeError, AttributeError, LookupError) as error:
            raise _Broken(f"an event is no chunk of a chat completion: {error}") from error
    return False


class _Collector:
    """A reply while it arrives: texts stay in pieces, since adding them up costs quadratic time."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.finish_reason: str | None = None
        self.usage: Mapping[str, Any] = {}
        self.input_time: Mapping[str, Any] = {}
        self.tools: dict[int, tuple[list[str], list[str]]] = {}
        self.chosen: list[float] = []
        self.top: list[list[float]] = []

    def take(self, data: bytes) -> None:
        """Add one event of a stream."""
        try:
            chunk = msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            raise _Broken(f"an event is no JSON: {error}") from error
        if not isinstance(chunk, dict):
            raise _Broken("an event is no JSON object")
        if failed := chunk.get("error"):
            told = failed.get("message") if isinstance(failed, dict) else None
            paid = isinstance(failed, dict) and failed.get("should_retry") is False
            raise (CallError if paid else _Broken)(str(told or failed))
        self.usage = chunk.get("usage") or self.usage
        self.input_time = chunk.get("input_time") or self.input_time
        for choice in chunk.get("choices") or ():
            self.add(choice.get("delta") or {})
            self.add_logprobs(choice.get("logprobs"))
            self.finish_reason = choice.get("finish_reason") or self.finish_reason

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message, or the part of one that an event has."""
        self.text.append(_text(message.get("content")))
        thought = message.get("reasoning_content") or message.get("reasoning")
        self.reasoning.append(_text(thought))
        for position, call in enumerate(message.get("tool_calls") or ()):
            name, arguments = self.tools.setdefault(call.get("index", position), ([], []))
            function = call.get("function") or {}
            name.append(_text(function.get("name")))
            arguments.append(_text(function.get("arguments")))

    def add_logprobs(self, found: Mapping[str, Any] | None) -> None:
        """Add the log-probabilities of a message, or of the part of one that an event has."""
        for token in (found or {}).get("content") or ():
            if isinstance(chosen := token.get("logprob"), int | float):  # null for some tokens
                top = [each.get("logprob") for each in token.get("top_logprobs") or ()]
                self.chosen.append(chosen)
                self.top.append([each for each in top if isinstance(each, int | float)])

    def reply(self) -> ChatReply:
        """Return what was collected."""
        calls = (
            {"name": "".join(name), "arguments": "".join(arguments)}
            for _, (name, arguments) in sorted(self.tools.items())
        )
        return ChatReply(
            "".join(self.text), "".join(self.reasoning), self.finish_reason, self.usage,
            self.input_time, tuple(calls), measure(self.chosen, self.top),
        )  # fmt: skip


def _text(value: object) -> str:
    if not isinstance(value, str | None):
        raise TypeError(f"a text is expected, not {type(value).__name__}")
    return value or ""
