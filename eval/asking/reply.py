"""What a server answers, read leniently: a chat completion, or the events of a stream.

Servers differ in their shapes. What can be read is read: content in parts, thinking under several
names, functions called in the old way. What cannot is a failed call, never the end of the run.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from its import sse
from its.methods.confidence import measure
from its.methods.seam import Logprobs

from ..lines import loads
from .values import count, input_time, mapping, whole

_THINKING = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Names that servers have for a message's thinking; the first that holds some counts."""


class CallError(Exception):
    """A call that failed for good; the message is the reason."""


class Broken(Exception):
    """An answer that broke off, or the server's word that it failed: asking again may help."""


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
    def prompt_tokens(self) -> int | None:
        return count(self.usage.get("prompt_tokens")) or None

    @property
    def tokens(self) -> int | None:
        """Return the completion's tokens; `None` if unknown, as where a text has 0 tokens."""
        found = count(self.usage.get("completion_tokens"))
        return None if found == 0 and (self.text or self.reasoning) else found

    @property
    def thinking_tokens(self) -> int | None:
        """Return the tokens of thinking: the engine's count, else a share by characters."""
        total = self.tokens
        if total is None:
            return None
        details = self.usage.get("completion_tokens_details")
        said = details if isinstance(details, Mapping) else self.usage  # SGLang: in usage itself
        if counted := count(said.get("reasoning_tokens")):
            return min(counted, total)
        characters = len(self.text) + len(self.reasoning)
        return round(total * len(self.thought) / characters) if characters else 0


def read_completion(raw: bytes) -> ChatReply:
    """Read the answer of a server that does not stream.

    Raises:
        CallError: it is no chat completion.
        Broken: it says that the server failed.
    """
    found = ReplyCollector()
    found.take(raw, "the answer")
    if not found.choices:
        raise CallError("the answer is no chat completion: it has no choice")
    return found.reply()


class ReplyCollector:
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
        self.choices = 0

    def take_all(self, events: Iterable[sse.Event]) -> bool:
        """Add events of a stream; tell whether one of them was its end."""
        for event in events:
            if event.data.strip() == b"[DONE]":
                return True
            self.take(event.data, "an event")
        return False

    def take(self, data: bytes, what: str) -> None:
        """Add one event of a stream, or a whole answer.

        Raises:
            CallError: it has no shape that can be read, or the server refuses.
            Broken: it is no JSON, or says that the server failed.
        """
        try:
            chunk = loads(data)
        except (ValueError, RecursionError) as error:
            raise Broken(f"{what} is no JSON: {error}") from error
        if not isinstance(chunk, dict):
            raise CallError(f"{what} is no JSON object")
        _raise_error(chunk)
        try:
            self._add(chunk)
        except (TypeError, AttributeError, LookupError, ValueError, OverflowError) as error:
            raise CallError(f"{what} is no part of a chat completion: {error}") from error

    def _add(self, chunk: Mapping[str, Any]) -> None:
        self.usage = mapping(chunk.get("usage")) or self.usage
        self.input_time = input_time(chunk.get("input_time")) or self.input_time
        for choice in chunk.get("choices") or ():
            if choice is None or choice.get("index"):  # only the first of several is the answer
                continue
            message = choice.get("delta") or choice.get("message")
            self.choices += message is not None
            self._add_message(message or {})
            self._add_logprobs(choice.get("logprobs"))
            if ended := choice.get("finish_reason"):
                self._end(str(ended))

    def _end(self, reason: str) -> None:
        if reason in {"abort", "error"}:
            raise Broken(f"the server ended the answer with finish_reason {reason}")
        self.finish_reason = reason

    def _add_message(self, message: Mapping[str, Any]) -> None:
        text, thought = _content(message.get("content"))
        self.text.append(text or _flat(message.get("refusal")))
        named = (_flat(message.get(name)) for name in _THINKING)
        self.reasoning.append(thought or next(filter(None, named), ""))
        calls = message.get("tool_calls") or ()
        if old := message.get("function_call"):
            calls = [{"function": old}]
        for position, call in enumerate(calls):
            name, arguments = self.tools.setdefault(int(call.get("index") or position), ([], []))
            function = call.get("function") or {}
            name.append(_flat(function.get("name")))
            given = function.get("arguments")
            arguments.append(json.dumps(given) if isinstance(given, dict) else _flat(given))

    def _add_logprobs(self, found: object) -> None:
        """Add the log-probabilities of a message, where it has any that can be read."""
        tokens = mapping(found).get("content")
        for token in tokens if isinstance(tokens, list) else ():
            chosen = mapping(token).get("logprob")
            if isinstance(chosen, int | float):  # null for some tokens
                top = token.get("top_logprobs")
                each = [mapping(one).get("logprob") for one in top or ()]
                self.chosen.append(chosen)
                self.top.append([value for value in each if isinstance(value, int | float)])

    def reply(self) -> ChatReply:
        """Return what was collected."""
        calls = (
            {"name": "".join(name), "arguments": "".join(arguments)}
            for _, (name, arguments) in sorted(self.tools.items())
        )
        return ChatReply(
            whole(self.text), whole(self.reasoning), self.finish_reason, self.usage,
            self.input_time, tuple(calls), measure(self.chosen, self.top),
        )  # fmt: skip


def _raise_error(chunk: Mapping[str, Any]) -> None:
    """Raise the error that stands in place of an answer: OpenAI's shape, or SGLang's flat one."""
    failed = chunk.get("error")
    if not failed and chunk.get("object") == "error":
        failed = chunk
    if not failed:
        return
    about = mapping(failed)
    code = count(about.get("code")) or count(about.get("status"))
    refused = code is not None and 400 <= code < 500 and code not in {408, 409, 425, 429}
    paid = about.get("should_retry") is False
    message = str(about.get("message") or failed)
    raise (CallError if paid or refused else Broken)(message)


def _content(value: object) -> tuple[str, str]:
    """Return the text and the thinking of a message's content: a text, or parts."""
    if value is None or isinstance(value, str):
        return value or "", ""
    if not isinstance(value, list):
        raise TypeError(f"content is a {type(value).__name__}, not a text or a list of parts")
    text: list[str] = []
    thought: list[str] = []
    for part in value:
        kind = str(mapping(part).get("type"))
        thinks = "think" in kind or "reason" in kind
        (thought if thinks else text).append(_flat(part))
    return "".join(text), "".join(thought)


def _flat(value: object) -> str:
    """Return the text inside parts of any depth; what is no text has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_flat, value))
    if not isinstance(value, dict):
        return ""
    held = (value.get(name) for name in ("text", "value", "thinking", "content", "refusal"))
    return next((text for each in held if (text := _flat(each))), "")
