"""A chat's answer on its way to a client of another API, whole or as a stream.

Other APIs send an answer as blocks, one after another: thinking, text, tool calls. A chat's stream
may mix their pieces. Here the pieces become blocks; how a block looks, each API says in a subclass.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from its.sse import Event, Reader

from ..base.errors import UNREADABLE
from ..wire.stream import KEEP_ALIVE

BlockKind: TypeAlias = Literal["reasoning", "text", "refusal", "call"]

REASONING = ("reasoning_content", "reasoning")
"""What SGLang and vLLM call the text that a model thinks in."""


@dataclass(slots=True, eq=False)
class Block:
    """One block of an answer; `call_id` and `name` are a tool call's, `index` its place."""

    kind: BlockKind
    index: int = 0
    call_id: str = ""
    name: str = ""
    said: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    item_id: str = ""

    @property
    def text(self) -> str:
        """All that was said in it; of a call its arguments."""
        return "".join(self.said)


@dataclass(slots=True)
class StreamEnd:
    """How an answer ended. `stopped_by`: the client's stop text that ended it, if one did."""

    reason: str | None = None
    stopped_by: str | None = None
    usage: Mapping[str, Any] | None = None
    input_time: Mapping[str, Any] | None = None


class AnswerWriter(ABC):
    """One answer. A subclass writes the events of its API; it returns `b""` for what has none."""

    PING = KEEP_ALIVE
    """Keeps a connection open while nothing is said."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.blocks: list[Block] = []
        self.end = StreamEnd()
        self._reader = Reader()
        self._open: Block | None = None
        self._waiting: list[Block] = []
        self._calls: dict[int, Block] = {}
        self._begun = self._ended = False

    @abstractmethod
    def body(self) -> Mapping[str, Any]:
        """Return the whole answer, with all that is known of it so far."""

    @abstractmethod
    def began(self) -> bytes:
        """Return the stream's first events."""

    @abstractmethod
    def opened(self, block: Block) -> bytes:
        """Return what begins a block."""

    @abstractmethod
    def said(self, block: Block, text: str, logprobs: list[Any]) -> bytes:
        """Return a further piece of a block."""

    @abstractmethod
    def closed(self, block: Block) -> bytes:
        """Return what ends a block."""

    @abstractmethod
    def completed(self) -> bytes:
        """Return what ends a stream well."""

    @abstractmethod
    def failed(self, error: Mapping[str, Any]) -> bytes:
        """Return what ends a broken stream; `error` is OpenAI's error object."""

    def whole(self, completion: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what stands for a chat completion that was not streamed."""
        choice = _first(completion.get("choices"))
        self._note(completion, choice)
        logprobs = _logprobs(choice)
        for block, text in self._pieces(_object(choice.get("message")), logprobs):
            block.said.append(text)
            self._place(block)
        self._complete_blocks()
        return self.body()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of a chat's stream; return the events that they stand for."""
        events = b"".join(map(self._hear, self._reader.feed(data)))
        return events or (self.PING if data.startswith(b":") else b"")

    def close(self) -> bytes:
        """Return what is left to send when the chat's stream has ended."""
        return b"".join(map(self._hear, self._reader.close())) + self._finish()

    def _hear(self, event: Event) -> bytes:
        if self._ended:
            return b""
        if event.data.strip() == b"[DONE]":
            return self._finish()
        chunk = _read(event.data)
        choice = _first(chunk.get("choices"))
        self._note(chunk, choice)
        head = b"" if self._begun else self.began()
        self._begun = True
        if event.name == b"error" or chunk.get("error") or _says_error(chunk):
            self._ended = True
            return head + self.failed(_error(chunk))
        logprobs = _logprobs(choice)
        pieces = self._pieces(_object(choice.get("delta")), logprobs)
        return head + b"".join([self._piece(block, text, logprobs) for block, text in pieces])

    def _note(self, body: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
        """Note how the answer ended, as far as a body or a chunk says it."""
        end = self.end
        if isinstance(usage := body.get("usage"), dict):
            end.usage = usage
        if isinstance(told := body.get("input_time"), dict):
            end.input_time = told
        if isinstance(reason := choice.get("finish_reason"), str):
            end.reason = reason
            stops = [choice.get(name) for name in ("matched_stop", "stop_reason")]
            end.stopped_by = next((stop for stop in stops if isinstance(stop, str)), None)

    def _pieces(
        self, message: Mapping[str, Any], logprobs: list[Any]
    ) -> Iterator[tuple[Block, str]]:
        """Yield the pieces of a message or a delta, each with the block that it belongs to."""
        thought = next((message[name] for name in REASONING if message.get(name)), None)
        texts: tuple[tuple[BlockKind, str], ...] = (
            ("reasoning", _text(thought)),
            ("text", _text(message.get("content"))),
            ("refusal", _text(message.get("refusal"))),
        )
        for kind, text in texts:
            if text:
                block = self._block(kind)
                if kind == "text":
                    block.logprobs += logprobs
                yield block, text
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                yield self._call(call)

    def _block(self, kind: BlockKind) -> Block:
        """Return the block that a piece of text goes on with, or a new one."""
        so_far = self._waiting or self.blocks
        return so_far[-1] if so_far and so_far[-1].kind == kind else Block(kind)

    def _call(self, piece: Mapping[str, Any]) -> tuple[Block, str]:
        """Return the block of a tool call, and the arguments that a piece of it adds."""
        function, index = _object(piece.get("function")), piece.get("index")
        if not isinstance(index, int):  # some engines number nothing: a new call has an id
            index = len(self._calls) if piece.get("id") or not self._calls else max(self._calls)
        block = self._calls.setdefault(index, Block("call"))
        block.call_id = block.call_id or str(piece.get("id") or "")
        block.name = block.name or str(function.get("name") or "")
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # some engines send them as an object
            return block, msgspec.json.encode(arguments).decode()
        return block, arguments if isinstance(arguments, str) else ""

    def _piece(self, block: Block, text: str, logprobs: list[Any]) -> bytes:
        """Return the events of a piece.

        Blocks do not mix. Nobody knows when a tool call is complete, so what comes after the first
        call waits for the end of the stream. A call without a name waits as well.
        """
        block.said.append(text)
        if block is self._open:
            return self.said(block, text, logprobs) if text else b""
        if block in self._waiting:
            return b""
        if (self._open is not None and self._open.kind == "call") or self._waiting:
            self._waiting.append(block)
            return b""
        ended = b"" if self._open is None else self.closed(self._open)
        self._open = None
        if block.kind == "call" and not block.name:
            self._waiting.append(block)
            return ended
        return ended + self._show(block)

    def _show(self, block: Block) -> bytes:
        """Open a block with what was said in it so far."""
        self._place(block)
        self._open = block
        text = block.text
        shown = self.opened(block)
        return shown + self.said(block, text, block.logprobs) if text else shown

    def _place(self, block: Block) -> None:
        if block not in self.blocks:
            block.index = len(self.blocks)
            if block.kind == "call":
                block.call_id = block.call_id or f"call_{os.urandom(12).hex()}"
            self.blocks.append(block)

    def _complete_blocks(self) -> list[Block]:
        """Return the blocks that were not shown yet; an answer that says nothing has one."""
        left = self._waiting or ([] if self.blocks else [Block("text")])
        self._waiting = []
        for block in left:
            self._place(block)
        return left

    def _finish(self) -> bytes:
        if self._ended or not self._begun:
            return b""
        self._ended = True
        events = [self.closed(self._open)] if self._open is not None else []
        for block in self._complete_blocks():
            events += [self._show(block), self.closed(block)]
        return b"".join([*events, self.completed()])


def event(name: str, payload: Mapping[str, Any]) -> bytes:
    """Return a named event."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(payload))


def count(usage: Mapping[str, Any] | None, *path: str) -> int:
    """Return a number of an engine's usage; 0 where it says nothing."""
    value: Any = usage
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _read(data: bytes) -> Mapping[str, Any]:
    try:
        return _object(msgspec.json.decode(data))
    except UNREADABLE:
        return {}


def _says_error(chunk: Mapping[str, Any]) -> bool:
    return chunk.get("object") == "error" or chunk.get("type") == "error"


def _error(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return OpenAI's error object; engines also send flat ones, or a text alone."""
    error = chunk.get("error") or chunk
    return error if isinstance(error, dict) else {"message": str(error)}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(choices: Any) -> Mapping[str, Any]:
    """Return the first choice of a chat; other APIs have no second one."""
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index") in (0, None):
            return choice
    return {}


def _text(content: Any) -> str:
    """Return the text of a message's field, which may be a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _logprobs(choice: Mapping[str, Any]) -> list[Any]:
    found = _object(choice.get("logprobs")).get("content")
    return found if isinstance(found, list) else []
