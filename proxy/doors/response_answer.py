"""OpenAI's Responses API: a chat's answer as a response and its events."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from .answer import AnswerWriter, Block, count, event
from .items import sealed

_ECHOED: Mapping[str, Any] = {
    "instructions": None, "max_output_tokens": None, "max_tool_calls": None, "metadata": {},
    "parallel_tool_calls": True, "previous_response_id": None, "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None}, "safety_identifier": None,
    "service_tier": "default", "store": True, "temperature": None,
    "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_logprobs": 0,
    "top_p": None, "truncation": "disabled", "user": None,
}  # fmt: skip
"""Fields of a request that its response repeats, and what they are where it says nothing."""

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""A chat's `finish_reason` as the reason of an incomplete response."""

_PREFIX = {"reasoning": "rs_", "text": "msg_", "refusal": "msg_", "call": "fc_"}


class ResponseAnswer(AnswerWriter):
    """A response; `kept` takes it when it is complete."""

    def __init__(
        self, model: str, asked: Mapping[str, Any], kept: Callable[[Mapping[str, Any]], None]
    ) -> None:
        super().__init__(model)
        self._asked, self._kept = asked, kept
        self._id, self._created = _new_id("resp_"), int(time.time())
        self._number = 0
        self._error: Mapping[str, Any] | None = None
        reasoning = asked.get("reasoning")
        self._summarizes = isinstance(reasoning, dict) and bool(
            reasoning.get("summary") or reasoning.get("generate_summary")
        )
        self._seals = "reasoning.encrypted_content" in (asked.get("include") or ())

    def body(self) -> Mapping[str, Any]:
        response = self._response(self._status, self._output())
        if self._status in ("completed", "incomplete"):
            self._kept(response)
        return response

    @property
    def _status(self) -> str:
        if self._error is not None or self.end.reason == "abort":
            return "failed"
        return "incomplete" if self.end.reason in _CUT else "completed"

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        reason = _CUT.get(self.end.reason or "") if status == "incomplete" else None
        told = {} if self.end.input_time is None else {"input_time": self.end.input_time}
        asked = {name: self._asked.get(name) for name in _ECHOED}
        echoed = {name: _ECHOED[name] if value is None else value for name, value in asked.items()}
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "completed_at": int(time.time()) if status == "completed" else None,
            "error": self._failure if status == "failed" else None,
            "incomplete_details": {"reason": reason} if reason else None,
            "model": self.model,
            "output": output,
            **echoed,
            "usage": self._usage,
            **told,
        }

    @property
    def _failure(self) -> dict[str, Any]:
        error = self._error or {"message": "the engine aborted the call"}
        return {"code": "server_error", "message": str(error.get("message", ""))}

    @property
    def _usage(self) -> dict[str, Any] | None:
        usage = self.end.usage
        if usage is None:
            return None
        read, written = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
        cached = count(usage, "prompt_tokens_details", "cached_tokens")
        thought = count(usage, "completion_tokens_details", "reasoning_tokens")
        return {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": count(usage, "total_tokens") or read + written,
        }

    # Items -----------------------------------------------------------------------------------

    def _output(self) -> list[dict[str, Any]]:
        last = len(self.blocks) - 1
        cut = "incomplete" if self._status != "completed" else "completed"
        return [
            self._item(block, cut if at == last else "completed")
            for at, block in enumerate(self.blocks)
        ]

    def _item(self, block: Block, status: str) -> dict[str, Any]:
        """Return a block as an item; one that is in progress is empty."""
        block.item_id = block.item_id or _new_id(_PREFIX[block.kind])
        begun = status == "in_progress"
        head = {"id": block.item_id, "status": status}
        if block.kind == "call":
            said = {"arguments": "" if begun else block.text, "name": block.name}
            return {**head, "type": "function_call", "call_id": block.call_id, **said}
        parts = [] if begun else [self._part(block, block.text)]
        if block.kind != "reasoning":
            return {**head, "type": "message", "role": "assistant", "content": parts}
        shown = {"summary": parts} if self._summarizes else {"summary": [], "content": parts}
        hidden = sealed(block.text) if self._seals and not begun else None
        return {**head, "type": "reasoning", **shown, "encrypted_content": hidden}

    def _part(self, block: Block, text: str) -> dict[str, Any]:
        if block.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        if block.kind == "reasoning":
            return {"type": "summary_text" if self._summarizes else "reasoning_text", "text": text}
        logprobs = block.logprobs if text else []
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}

    # Events ----------------------------------------------------------------------------------

    def _event(self, name: str, /, **fields: Any) -> bytes:
        kind, number = f"response.{name}", self._number
        self._number += 1
        return event(kind, {"type": kind, "sequence_number": number, **fields})

    def began(self) -> bytes:
        response = self._response("in_progress", [])
        created = self._event("created", response=response)
        return created + self._event("in_progress", response=response)

    def opened(self, block: Block) -> bytes:
        item = self._item(block, "in_progress")
        added = self._event("output_item.added", output_index=block.index, item=item)
        if block.kind == "call":
            return added
        return added + self._of_part(block, "added", part=self._part(block, ""))

    def _of_part(self, block: Block, name: str, **fields: Any) -> bytes:
        kind = "reasoning_summary_part" if self._is_summary(block) else "content_part"
        return self._event(f"{kind}.{name}", **self._place_of(block), **fields)

    def _is_summary(self, block: Block) -> bool:
        return block.kind == "reasoning" and self._summarizes

    def _place_of(self, block: Block) -> dict[str, Any]:
        place = {"item_id": block.item_id, "output_index": block.index}
        if block.kind == "call":
            return place
        return {**place, "summary_index" if self._is_summary(block) else "content_index": 0}

    def _of_text(self, block: Block, event_name: str, /, **fields: Any) -> bytes:
        kind = {
            "reasoning": "reasoning_summary_text" if self._summarizes else "reasoning_text",
            "text": "output_text",
            "refusal": "refusal",
            "call": "function_call_arguments",
        }[block.kind]
        return self._event(f"{kind}.{event_name}", **self._place_of(block), **fields)

    def said(self, block: Block, text: str, logprobs: list[Any]) -> bytes:
        more = {"logprobs": logprobs} if block.kind == "text" else {}
        return self._of_text(block, "delta", delta=text, **more)

    def closed(self, block: Block) -> bytes:
        text = block.text
        if block.kind == "call":
            done = self._of_text(block, "done", name=block.name, arguments=text)
        elif block.kind == "refusal":
            done = self._of_text(block, "done", refusal=text)
        else:
            more = {"logprobs": block.logprobs} if block.kind == "text" else {}
            done = self._of_text(block, "done", text=text, **more)
        if block.kind != "call":
            done += self._of_part(block, "done", part=self._part(block, text))
        status = "incomplete" if self.end.reason in _CUT and self._is_last(block) else "completed"
        item = self._item(block, status)
        return done + self._event("output_item.done", output_index=block.index, item=item)

    def _is_last(self, block: Block) -> bool:
        return block is self.blocks[-1] and not self._waiting

    def completed(self) -> bytes:
        return self._event(self._status, response=self.body())

    def failed(self, error: Mapping[str, Any]) -> bytes:
        """OpenAI sends both: clients raise at the first, or read the second."""
        self._error = error
        told = {name: error.get(name) for name in ("code", "message", "param")}
        number = self._number
        self._number += 1
        payload = {"type": "error", "sequence_number": number, **told, "error": error}
        failed = self._event("failed", response=self._response("failed", self._output()))
        return event("error", payload) + failed


def _new_id(prefix: str) -> str:
    return prefix + os.urandom(16).hex()
