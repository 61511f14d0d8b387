"""Scores of a reward model: one number for a conversation that ends with a draft.

An engine of the kind `reward` has `POST /classify` (SGLang, vLLM) or `/score` (vLLM, infinity). The
body has the fields of all of them, as each ignores the others'. What an engine does not have is
remembered, so that it is asked once.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from its.answers.kinds import text_of
from its.types import Message

from ..base.errors import UNREADABLE
from ..base.outcome import CompletedCall, FailedCall, Row, Spent
from ..engines.engine import Engine
from ..engines.errors import EngineError
from ..engines.limits import Retries
from .calls import failed

PATHS = ("/classify", "/v1/score", "/score")
ABSENT = frozenset({404, 405, 501})


class ScoreError(ValueError):
    """An engine's answer holds no single number."""


async def score(
    engine: Engine,
    model: str,
    messages: Sequence[Message],
    headers: bytes,
    retries: Retries,
    row: Row,
    accepted: Callable[[], None] | None,
) -> CompletedCall | FailedCall:
    """Return what `model` scores the draft that ends `messages`, as the choice's `score`.

    Raises:
        TooMany: the key that asks has no slot and no place in its queue.
    """
    encoded = msgspec.json.encode(score_body(model, messages))

    def body() -> tuple[bytes]:
        row.sent += (time.monotonic(),)
        return (encoded,)

    while True:
        tried = engine.score_path
        try:
            async with engine.post(PATHS[tried], body, headers, retries) as response:
                if accepted is not None:
                    accepted()
                raw = await response.read()
        except EngineError as error:
            if error.status in ABSENT and tried + 1 < len(PATHS):
                engine.score_path = max(engine.score_path, tried + 1)  # others try beside us
                continue
            return failed(engine, error)
        return _scored(raw, row.spent)


def score_body(model: str, messages: Sequence[Message]) -> dict[str, Any]:
    """Return what is sent for a conversation that ends with a draft."""
    *asked, draft = messages
    question = "\n\n".join(text_of(m) for m in asked if m.get("role") == "user")
    answer = text_of(draft)
    pair = {"text_1": question, "text_2": answer}
    return {"model": model, "messages": messages, "text": f"{question}\n\n{answer}", **pair}


def _scored(raw: bytes, spent: Spent) -> CompletedCall | FailedCall:
    try:
        body = msgspec.json.decode(raw)
        value = number_in(body)
    except (*UNREADABLE, ScoreError) as error:
        return FailedCall("protocol", f"the engine sent no score: {error}")
    spent.take(body.get("usage") if isinstance(body, dict) else None)
    return CompletedCall({"score": value}, {}, {})


def number_in(body: Any) -> float:
    """Return the one number of an engine's answer.

    vLLM's `/score` and `/classify` have `data`, of `score` or `probs`; SGLang's `/classify` has an
    `embedding` of one number. Of two probabilities the last is that of the better class.

    Raises:
        ScoreError: there is none, or there are several.
    """
    found = body
    for _ in range(6):
        if isinstance(found, Mapping):
            names = ("data", "results", "scores", "score", "probs", "embedding", "relevance_score")
            found = next((found[name] for name in names if found.get(name) is not None), None)
        elif isinstance(found, list) and len(found) == 1:
            found = found[0]
        elif isinstance(found, list) and len(found) == 2 and all(map(_is_number, found)):
            found = found[1]
        else:
            break
    if not _is_number(found):
        raise ScoreError("it must be one number for each draft")
    return float(found)


def _is_number(value: Any) -> bool:
    """Tell whether a float holds `value`; JSON's integers may be larger."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max
