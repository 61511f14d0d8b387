"""OpenAI's older completions: a panel's answer to one prompt.

A member's completions are relayed: its engine takes the prompt without a chat template. A panel
asks its members as chats, so that answers can be read, compared and judged as everywhere.
"""

import os
import time
from collections.abc import Mapping
from typing import Any

from ..base.errors import BadRequest
from ..wire.request import Request
from ..wire.stream import DONE, event
from .answer import AnswerWriter, Block
from .translation import refuse, rest

DOOR = "/v1/completions"

REFUSED: Mapping[str, str] = {
    "suffix": "a panel answers questions, and fills nothing in. Ask one of its members.",
    "echo": "a panel does not repeat the prompt. Ask one of its members.",
    "logprobs": "a panel's answer has none here. Use /v1/chat/completions.",
}


def chat(request: Request) -> dict[str, Any]:
    """Return a chat's body for a request to a panel.

    Raises:
        BadRequest: it has not one text as its prompt, or a field that a panel has no answer for.
    """
    body = request.body
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise BadRequest("a panel takes one text as `prompt`", param="prompt")
    refuse(body, REFUSED)
    if body.get("best_of") not in (None, 1):
        raise BadRequest("`best_of`: a panel gives one verdict", param="best_of")
    own = dict.fromkeys(("prompt", "best_of", "response_format", *REFUSED), "")
    sent = rest(body, own, DOOR)
    if body.get("response_format") is not None:
        sent["response_format"] = body["response_format"]
    return {**sent, "model": request.model, "messages": [{"role": "user", "content": prompt}]}


class CompletionAnswer(AnswerWriter):
    """A text completion. Its text is the chat's content: there is no place for anything else."""

    def __init__(self, model: str, *, usage: bool) -> None:
        super().__init__(model)
        self._wants_usage = usage
        created = int(time.time())
        named = {"id": f"cmpl-{os.urandom(12).hex()}", "object": "text_completion"}
        self._head = {**named, "created": created, "model": model}

    def _choice(self, text: str, reason: str | None = None) -> dict[str, Any]:
        return {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}

    def body(self) -> Mapping[str, Any]:
        text = "".join(block.text for block in self.blocks if block.kind == "text")
        choices = [self._choice(text, self.end.reason)]
        told = {} if self.end.input_time is None else {"input_time": self.end.input_time}
        return {**self._head, "choices": choices, "usage": self.end.usage, **told}

    def began(self) -> bytes:
        return b""

    def opened(self, block: Block) -> bytes:
        return b""

    def said(self, block: Block, text: str, logprobs: list[Any]) -> bytes:
        if block.kind != "text":
            return b""
        return event({**self._head, "choices": [self._choice(text)]})

    def closed(self, block: Block) -> bytes:
        return b""

    def completed(self) -> bytes:
        told = {} if self.end.input_time is None else {"input_time": self.end.input_time}
        events = [event({**self._head, "choices": [self._choice("", self.end.reason)], **told})]
        if self._wants_usage:
            events.append(event({**self._head, "choices": [], "usage": self.end.usage}))
        return b"".join([*events, DONE])

    def failed(self, error: Mapping[str, Any]) -> bytes:
        return b"event: error\n" + event({"error": error})
