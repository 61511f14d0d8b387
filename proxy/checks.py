"""Checks of a configuration's values; every complaint names the file and the key."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*|[Xx]-[A-Za-z0-9_-]+\*")
OUR_HEADERS = frozenset({
    "accept-encoding", "authorization", "connection", "content-length", "content-type", "cookie",
    "expect", "host", "keep-alive", "proxy-authorization", "te", "traceparent", "tracestate",
    "trailer", "transfer-encoding", "upgrade", "x-api-key", "x-request-id",
})  # fmt: skip
"""Headers that cannot be forwarded: the proxy sets them, or they are a client's secret."""


class ConfigError(Exception):
    """One line that names file, key and reason."""

    def __init__(self, file: Path, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}")


class Checks:
    """What the checks of all tables share: the file, and the number of workers."""

    def __init__(self, path: Path, workers: int) -> None:
        self.path, self.workers = path, workers

    def fail(self, key: str, reason: str) -> ConfigError:
        return ConfigError(self.path, key, reason)

    def secret(self, key: str, reference: str) -> str:
        kind, _, rest = reference.partition(":")
        if kind == "env":
            value = os.environ.get(rest, "")
        elif kind == "file":
            try:
                value = (self.path.parent / rest).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise self.fail(key, f"cannot read the file {rest}") from error
        else:
            raise self.fail(key, 'must be "env:NAME" or "file:PATH"; no secret stands in the file')
        if not value:
            raise self.fail(key, f"{reference} is empty or not set")
        if not (value.isascii() and value.isprintable()):
            raise self.fail(key, f"{reference} holds characters that no header can carry")
        return value

    def known(self, key: str, name: str, table: Mapping[str, Any], what: str) -> None:
        if name not in table:
            raise self.fail(key, f"no {what} {name!r}; there are: {', '.join(table) or 'none'}")

    def at_least(self, key: str, value: float | None, least: int) -> None:
        if value is not None and value < least:
            raise self.fail(key, f"must be at least {least}")

    def above_0(self, key: str, value: float) -> None:
        if value <= 0:
            raise self.fail(key, "must be above 0")

    def forwarded(self, key: str, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of headers that an engine gets, in lower case."""
        for name in names:
            if not _HEADER.fullmatch(name):
                raise self.fail(
                    key, f"{name!r} must be a header's name, or begin with x- and end with *"
                )
            if name.lower() in OUR_HEADERS:
                raise self.fail(key, f"{name!r} is the proxy's own to set, or a secret")
        return tuple(name.lower() for name in names)

    def share(self, limit: int) -> int:
        """Return one worker's share of a limit that holds for all of them."""
        return max(min(limit, 1), limit // self.workers)
