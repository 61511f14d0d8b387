"""What an engine says when it refuses: OpenAI's error object, SGLang's flat one, or a page."""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import msgspec

from ..base.errors import UNREADABLE

_TAG = re.compile(r"<[^>]*>")
_OPTIONS = re.compile(rb"stream_?options|continuous_?usage_?stats|include_?usage", re.IGNORECASE)
TOLD = ("type", "param", "code")
MOST_TOLD = 200
"""Characters of a `code`, `type` or `param`: they are words, not messages."""


class Refusal(NamedTuple):
    """What an engine's error says.

    `told` is its `code`, `type` and `param`, as far as it has them. Clients act on them:
    `context_length_exceeded` makes some shorten their prompt. vLLM and SGLang give the status as a
    number for `code`; it stays one.
    `is_error`: the body is an error object, whatever its status was.
    """

    text: str
    told: dict[str, Any]
    is_error: bool


def read(raw: bytes) -> Refusal:
    """Return what the body of a refusal says; its JSON is decoded once."""
    page = raw.decode("utf-8", "replace")
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE:
        return Refusal(" ".join(_TAG.sub(" ", page).split()), {}, False)
    if isinstance(body, list) and len(body) == 1:  # Gemini's OpenAI endpoint puts it into a list
        body = body[0]
    if not isinstance(body, dict):
        return Refusal(page, {}, False)
    is_error = bool(body.get("error")) or body.get("object") == "error"
    return Refusal(_text(body, page), _told(body), is_error)


def _text(body: Mapping[str, Any], page: str) -> str:
    for key in ("error", "message", "detail"):
        found = body.get(key)
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str):
            return found
    return page


def _told(body: Mapping[str, Any]) -> dict[str, Any]:
    # FastAPI servers put the object under `detail`, OpenAI's under `error`, SGLang's is flat.
    inner = (body[key] for key in ("error", "detail") if isinstance(body.get(key), dict))
    error = next(inner, body)
    return {name: error[name] for name in TOLD if _is_word(error.get(name), number=name == "code")}


def passed(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return the headers of a refusal that its client needs: how long to wait, and limits."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers.items()
        if name in (b"retry-after", b"retry-after-ms") or name.startswith(b"x-ratelimit-")
    }


def seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long an engine asks to wait, by its `passed` headers; `None`: it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            wait = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if not math.isnan(wait):  # float() takes "nan", which no comparison would stop
            return max(0.0, wait)
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def blames_stream_options(raw: bytes) -> bool:
    """Tell whether a refusal names `stream_options` or a part of it."""
    return _OPTIONS.search(raw) is not None


def _is_word(value: Any, *, number: bool) -> bool:
    if isinstance(value, str):
        return len(value) <= MOST_TOLD
    return number and isinstance(value, int) and not isinstance(value, bool)
