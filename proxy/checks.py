"""Checks of a configuration's values; every complaint names the file and the key."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """One line that names file, key and reason."""

    def __init__(self, file: Path, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}")


class Checks:
    """What the checks of all tables share: the file that they complain of."""

    def __init__(self, path: Path) -> None:
        self.path = path

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
