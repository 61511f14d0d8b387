"""What an engine says when it refuses: OpenAI's error object, SGLang's flat one, or a page."""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from ..base.errors import UNREADABLE

_TAG = re.compile(r"<[^>]*>")
_OPTIONS = re.compile(rb"stream_?options|continuous_?usage_?stats|include_?usage", re.IGNORECASE)
TOLD = ("type", "param", "code")
MOST_TOLD = 200
"""Characters of a `code`, `type` or `param`: they are words, not messages."""


def text(raw: bytes) -> str:
    """Return an engine's own words."""
    body, plain = _read(raw), raw.decode("utf-8", "replace")
    if body is None:
        return _words(plain)
    for key in ("error", "message", "detail"):
        found = body.get(key) if isinstance(body, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str):
            return found
    return plain


def told(raw: bytes) -> dict[str, Any]:
    """Return the `code`, `type` and `param` of an engine's error, as far as it has them.

    Clients act on them: `context_length_exceeded` makes some shorten their prompt. vLLM and SGLang
    give the status as a number for `code`; it stays one.
    """
    body = _read(raw)
    if not isinstance(body, dict):
        return {}
    inner = (body[key] for key in ("error", "detail") if isinstance(body.get(key), dict))
    error = next(inner, body)
    return {name: error[name] for name in TOLD if _is_word(error.get(name), number=name == "code")}


def is_error(raw: bytes) -> bool:
    """Tell whether a body is an error object, whatever its status was."""
    body = _read(raw)
    return isinstance(body, dict) and (bool(body.get("error")) or body.get("object") == "error")


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
        if not math.isnan(wait):
            return max(0.0, wait)
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def blames_stream_options(raw: bytes) -> bool:
    """Tell whether a refusal names `stream_options` or a part of it."""
    return _OPTIONS.search(raw) is not None


def _read(raw: bytes) -> Any:
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE:
        return None
    # Gemini's OpenAI endpoint puts its error object into a list.
    return body[0] if isinstance(body, list) and len(body) == 1 else body


def _is_word(value: Any, *, number: bool) -> bool:
    if isinstance(value, str):
        return len(value) <= MOST_TOLD
    return number and isinstance(value, int) and not isinstance(value, bool)


def _words(page: str) -> str:
    """Return the words of an error page."""
    return " ".join(_TAG.sub(" ", page).split())
