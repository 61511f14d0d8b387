"""The log: a line for each request, as JSON or for people. No contents, unless bodies are asked
for, and never a key.
"""

import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..base.record import Record
from ..config.settings import LogSettings

_LOG = logging.getLogger("its.proxy")
_REQUESTS = logging.getLogger("its.proxy.request")
_BODIES = logging.getLogger("its.proxy.body")


def configure(settings: LogSettings) -> None:
    """Write to standard error as `settings` say; may be called again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMATTERS[settings.format]())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOG.setLevel(settings.level.upper())
    _BODIES.setLevel(logging.INFO if settings.bodies else logging.CRITICAL)


def request(method: str, path: str, status: int, seconds: float, record: Record) -> None:
    """Note how a request ended."""
    if not _REQUESTS.isEnabledFor(logging.INFO):
        return
    told = {
        "request_id": record.request_id.decode(),
        "method": method,
        "path": path,
        "status": status,
        "seconds": round(seconds, 4),
        "key": record.client.name if record.client else None,
        "model": record.model or None,
        "strategy": record.strategy or None,
        "own_ms": round(record.own_ms, 2) if record.asked else None,
        "cause": record.cause or None,
        "error": record.error or None,
    }
    _REQUESTS.info("request", extra={"told": told})


def body(record: Record, direction: str, raw: bytes) -> None:
    """Note what was asked or answered, where the configuration wants that."""
    if _BODIES.isEnabledFor(logging.INFO):
        text = raw.decode("utf-8", "replace")
        told = {"request_id": record.request_id.decode(), "direction": direction, "body": text}
        _BODIES.info("body", extra={"told": told})


class _Console(logging.Formatter):
    """`12:00:00 its-proxy: what was said  key=value ...`"""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        told: dict[str, Any] = getattr(record, "told", {})
        known = {key: value for key, value in told.items() if value is not None}
        pairs = "".join(f" {key}={_plain(value)}" for key, value in known.items())
        level = "" if record.levelno == logging.INFO else f" {record.levelname.lower()}:"
        text = f"{at} its-proxy:{level} {record.getMessage()}{pairs}"
        return f"{text}\n{_trace(record)}" if record.exc_info else text


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = getattr(record, "told", {})
        row = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{key: value for key, value in told.items() if value is not None},
        }
        if record.exc_info:
            row["trace"] = _trace(record)
        return msgspec.json.encode(row).decode()


def _trace(record: logging.LogRecord) -> str:
    """Return where an error came from; its own text may hold what was asked or answered."""
    assert record.exc_info is not None
    kind, _, frames = record.exc_info
    return "".join([*traceback.format_tb(frames), kind.__name__ if kind else "?"])


def _plain(value: Any) -> str:
    """Return a value that cannot begin a new line or be taken for two."""
    text = str(value)
    return text if text.isprintable() and " " not in text else msgspec.json.encode(text).decode()


_FORMATTERS = {"console": _Console, "json": _Json}
