"""Anthropic's Messages API: a chat's answer as a message and its events."""

import os
from collections.abc import Mapping
from typing import Any

from ..wire.envelopes import anthropic_error
from .answer import AnswerWriter, Block, count, event
from .messages import arguments_of

_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}

SIGNATURE = "unsigned"
"""Clients send a thinking block back only with a signature; nobody checks this one."""


class MessageAnswer(AnswerWriter):
    """A message; without `thinking` its reasoning is left out."""

    PING = event("ping", {"type": "ping"})

    def __init__(self, model: str, *, thinking: bool) -> None:
        super().__init__(model)
        self._id = f"msg_{os.urandom(12).hex()}"
        self._thinking = thinking
        self._told = False

    def body(self) -> Mapping[str, Any]:
        return {
            **self._head([self._content(block) for block in self.blocks if self._shows(block)]),
            **self._stop,
            "usage": self._usage,
            **self._extras(),
        }

    def _head(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self._id, "type": "message", "role": "assistant", "model": self.model}
        return {**head, "content": content, "stop_reason": None, "stop_sequence": None}

    def _shows(self, block: Block) -> bool:
        return self._thinking or block.kind != "reasoning"

    @property
    def _stop(self) -> dict[str, Any]:
        end = self.end
        reason = _REASONS.get(end.reason or "", "end_turn")
        if end.reason == "stop" and any(block.kind == "call" for block in self.blocks):
            reason = "tool_use"
        if reason == "end_turn" and end.stopped_by is not None:
            return {"stop_reason": "stop_sequence", "stop_sequence": end.stopped_by}
        return {"stop_reason": reason, "stop_sequence": None}

    @property
    def _usage(self) -> dict[str, int]:
        """Anthropic counts cached tokens apart from the others that were read."""
        usage = self.end.usage
        cached = count(usage, "prompt_tokens_details", "cached_tokens")
        return {
            "input_tokens": max(0, count(usage, "prompt_tokens") - cached),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": count(usage, "completion_tokens"),
        }

    def _extras(self) -> dict[str, Any]:
        """Return `input_time` when it is known: in a stream's first event, or in its last."""
        if self._told or self.end.input_time is None:
            return {}
        self._told = True
        return {"input_time": self.end.input_time}

    def _content(self, block: Block) -> dict[str, Any]:
        if block.kind == "reasoning":
            return {"type": "thinking", "thinking": block.text, "signature": SIGNATURE}
        if block.kind == "call":
            return {**self._blank(block), "input": arguments_of(block.text)}
        return {"type": "text", "text": block.text}

    def _blank(self, block: Block) -> dict[str, Any]:
        """Return a block that says nothing yet."""
        if block.kind == "reasoning":
            return {"type": "thinking", "thinking": "", "signature": ""}
        if block.kind == "call":
            return {"type": "tool_use", "id": block.call_id, "name": block.name, "input": {}}
        return {"type": "text", "text": ""}

    # Events ----------------------------------------------------------------------------------

    def began(self) -> bytes:
        message = {**self._head([]), "usage": {**self._usage, "output_tokens": 0}, **self._extras()}
        started = event("message_start", {"type": "message_start", "message": message})
        return started + self.PING

    def _event(self, name: str, block: Block, **fields: Any) -> bytes:
        """Return an event of a block; hidden ones do not count among the others."""
        if not self._shows(block):
            return b""
        hidden = sum(not self._shows(each) for each in self.blocks[: block.index])
        return event(name, {"type": name, "index": block.index - hidden, **fields})

    def opened(self, block: Block) -> bytes:
        return self._event("content_block_start", block, content_block=self._blank(block))

    def said(self, block: Block, text: str, logprobs: list[Any]) -> bytes:
        delta = {
            "reasoning": {"type": "thinking_delta", "thinking": text},
            "call": {"type": "input_json_delta", "partial_json": text},
        }.get(block.kind, {"type": "text_delta", "text": text})
        return self._event("content_block_delta", block, delta=delta)

    def closed(self, block: Block) -> bytes:
        ended = self._event("content_block_stop", block)
        if block.kind != "reasoning":
            return ended
        signed = {"type": "signature_delta", "signature": SIGNATURE}
        return self._event("content_block_delta", block, delta=signed) + ended

    def completed(self) -> bytes:
        delta = {"type": "message_delta", "delta": self._stop, "usage": self._usage}
        ended = event("message_delta", {**delta, **self._extras()})
        return ended + event("message_stop", {"type": "message_stop"})

    def failed(self, error: Mapping[str, Any]) -> bytes:
        kind, message = str(error.get("type") or ""), str(error.get("message") or "")
        return event("error", anthropic_error(kind, message))


class TokenCount:
    """The answer of `/v1/messages/count_tokens`, from an engine's `/tokenize`."""

    def whole(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return how many tokens an engine counted."""
        listed = body.get("tokens")
        counted = count(body, "count")
        return {"input_tokens": counted or (len(listed) if isinstance(listed, list) else 0)}

    def feed(self, data: bytes) -> bytes:
        """Return nothing: this is never streamed."""
        return b""

    def close(self) -> bytes:
        """Return nothing: this is never streamed."""
        return b""
