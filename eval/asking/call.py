"""One call of a model: streamed, so that long reasoning does not time out, and repeated by the
harness alone: the SDK would repeat a panel that was paid for.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import openai

AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0


class CallError(Exception):
    """A call that failed for good; the message is the reason."""


@dataclass(slots=True)
class Reply:
    """What a model answered. `input_time` is what the proxy says of it, if there is one."""

    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    input_time: Mapping[str, Any] = field(default_factory=dict)
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    """Tool calls by their index: name and arguments, as far as they have come."""

    @property
    def message(self) -> dict[str, Any]:
        """Return the reply as a chat message."""
        tools = [{"type": "function", "function": call} for _, call in sorted(self.calls.items())]
        return {"content": self.text, **({"tool_calls": tools} if tools else {})}

    @property
    def thought(self) -> str:
        """Return the thinking: the engine's own field, or what stands before `</think>`."""
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


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may take, in seconds, and how often it is tried again."""

    seconds: float = 3600.0
    retries: int = 3


async def ask(client: openai.AsyncOpenAI, body: Mapping[str, Any], patience: Patience) -> Reply:
    """Return the answer to `body`, tried again while the server is away or overloaded.

    Raises:
        CallError: it failed for good.
    """
    wait = FIRST_WAIT
    for attempt in range(patience.retries + 1):
        try:
            async with asyncio.timeout(patience.seconds):
                return await _once(client, body)
        except TimeoutError as error:
            raise CallError(f"no answer in {patience.seconds:g} s") from error
        except (openai.OpenAIError, httpx.HTTPError, _Broken) as error:
            if attempt == patience.retries or not _worth_it(error):
                raise CallError(_reason(error)) from error
            await asyncio.sleep(_asked_wait(error) or wait * random.uniform(0.5, 1))
            wait = min(2 * wait, LONGEST_WAIT)
    raise AssertionError("a loop of one or more tries ends inside")


class _Broken(Exception):
    """A stream that ended before the answer did."""


async def _once(client: openai.AsyncOpenAI, body: Mapping[str, Any]) -> Reply:
    known = {"model", "messages", "temperature", "top_p", "max_tokens", "seed"}
    more = {key: value for key, value in body.items() if key not in known}
    call = client.chat.completions.with_streaming_response.create(
        **{key: value for key, value in body.items() if key in known},
        stream=True, stream_options={"include_usage": True}, extra_body=more or None,
    )  # fmt: skip
    async with call as response:
        if "event-stream" not in response.headers.get("content-type", ""):
            return _whole(await response.read())
        return await _streamed(response.iter_lines())


def _whole(raw: bytes) -> Reply:
    """Read the answer of a server that does not stream."""
    try:
        body = msgspec.json.decode(raw)
        choice = body["choices"][0]
        reply = Reply(finish_reason=choice.get("finish_reason"), usage=body.get("usage") or {})
        reply.input_time = body.get("input_time") or {}
        _add(reply, choice["message"])
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError) as error:
        raise CallError(f"the answer is no chat completion: {error}") from error
    return reply


async def _streamed(lines: AsyncIterator[str]) -> Reply:
    reply = Reply()
    async for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            break
        _take(reply, data)
    if reply.finish_reason is None:
        raise _Broken("the stream ended without finish_reason")
    return reply


def _take(reply: Reply, data: str) -> None:
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
    reply.usage = chunk.get("usage") or reply.usage
    reply.input_time = chunk.get("input_time") or reply.input_time
    for choice in chunk.get("choices") or ():
        _add(reply, choice.get("delta") or {})
        reply.finish_reason = choice.get("finish_reason") or reply.finish_reason


def _add(reply: Reply, message: Mapping[str, Any]) -> None:
    reply.text += message.get("content") or ""
    reply.reasoning += message.get("reasoning_content") or message.get("reasoning") or ""
    for position, call in enumerate(message.get("tool_calls") or ()):
        made = reply.calls.setdefault(call.get("index", position), {"name": "", "arguments": ""})
        said = call.get("function") or {}
        made["name"] += said.get("name") or ""
        made["arguments"] += said.get("arguments") or ""


def _worth_it(error: Exception) -> bool:
    """Tell whether trying again can help and is not forbidden."""
    if isinstance(error, openai.APIStatusError):
        forbidden = error.response.headers.get("x-should-retry") == "false"
        return error.status_code in AGAIN and not forbidden
    return isinstance(error, openai.APIConnectionError | httpx.TransportError | _Broken)


def _asked_wait(error: Exception) -> float | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    try:
        return min(float(error.response.headers.get("retry-after", "")), LONGEST_WAIT)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__.lstrip('_')}: {error}"[:500]
