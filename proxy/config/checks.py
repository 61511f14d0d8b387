"""Checks of a configuration's values; every complaint names the file and the key."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from its import secrets, urls
from its.suggest import unknown

from .settings import PageSettings
from .tables import ServerTable

_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*|[Xx]-[A-Za-z0-9_-]+\*")
OUR_HEADERS = frozenset({
    "accept-encoding", "authorization", "connection", "content-length", "content-type", "cookie",
    "expect", "host", "keep-alive", "proxy-authorization", "te", "traceparent", "tracestate",
    "trailer", "transfer-encoding", "upgrade", "x-api-key", "x-request-id",
})  # fmt: skip
"""Headers that cannot be forwarded: the proxy sets them, or they are a client's secret."""


MOST_VERDICTS = 10_000
"""Nobody reads a longer list, and each verdict needs up to 25 KB."""


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
        try:
            return secrets.resolve(reference, self.path.parent)
        except ValueError as error:
            raise self.fail(key, str(error)) from error

    def known(self, key: str, name: str, table: Mapping[str, Any], what: str) -> None:
        if name not in table:
            raise self.fail(key, unknown(what, name, table))

    def port(self, key: str, value: int) -> None:
        if not 0 <= value <= urls.MOST_PORT:
            raise self.fail(key, f"must be 0 to {urls.MOST_PORT}; 0 takes any free port")

    def engine_url(self, key: str, url: str) -> str:
        """Return an engine's address without a last slash."""
        wrong = urls.fault(url)
        if wrong is None and not urls.path(url).rstrip("/").endswith("/v1"):
            wrong = "does not end in /v1"
        if wrong is None and urls.has_query(url):
            wrong = "goes on after /v1"
        if wrong is not None:
            wanted = "It must be http://HOST:PORT/v1 or https://.../v1"
            raise self.fail(key, f"{_shown(url)} {wrong}. {wanted}")
        return url.rstrip("/")

    def origins(self, key: str, origins: Sequence[str]) -> tuple[str, ...]:
        """Return the pages that may ask: each as a browser writes it, or `*`."""
        for origin in origins:
            scheme, _, rest = origin.partition("://")
            wrong = urls.fault(origin, [scheme.lower()]) if rest else "has no scheme"
            if wrong is None and (urls.path(origin) or urls.has_query(origin)):
                wrong = "has a path"
            if wrong is None and origin != origin.lower():
                wrong = "has capital letters, and a browser sends none"
            if wrong is not None and origin != "*":
                wanted = 'It must be an origin such as "https://chat.example", or "*"'
                raise self.fail(key, f"{_shown(origin)} {wrong}. {wanted}")
        return tuple(origins)

    def hosts(self, key: str, hosts: Sequence[str]) -> frozenset[str]:
        """Return names or addresses of this server as `edge.hosts` compares them."""
        return frozenset(self._host(key, host) for host in hosts)

    def _host(self, key: str, host: str) -> str:
        bare = host.removeprefix("[").removesuffix("]")
        name = urls.host_name(f"[{bare}]" if ":" in bare else bare)
        if not name or (":" in bare and urls.fault(f"http://[{bare}]")):
            raise self.fail(
                key,
                f"{_shown(host)} is no host. It must be a name or an address without a port, such"
                ' as "panels.example"; --insecure serves every name',
            )
        return name

    def at_least(self, key: str, value: float | None, least: int) -> None:
        if value is not None and value < least:
            raise self.fail(key, f"must be at least {least}")

    def page(self, server: ServerTable) -> PageSettings:
        kept = server.keep_verdicts
        if kept is not None and not 0 <= kept <= MOST_VERDICTS:
            raise self.fail("server.keep_verdicts", f"must be 0 to {MOST_VERDICTS}")
        return PageSettings(server.page, kept, server.keep_texts)

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


def _shown(value: str) -> str:
    return repr(value[:100])


def cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
