"""ASGI's description of a request."""

from typing import Any, TypeAlias
from urllib.parse import unquote

import httptools

from .framing import Head

Address: TypeAlias = tuple[str, int] | None
Addresses: TypeAlias = tuple[Address, Address]
"""Ours and the client's; `None` where the socket is no TCP one."""


def request_scope(head: Head, addresses: Addresses, state: dict[str, Any]) -> dict[str, Any]:
    """Return the scope of a request; `state` is the application's, which gets a copy.

    Raises:
        httptools.HttpParserError, ValueError: its target is no URL.
    """
    target = httptools.parse_url(head.url)
    if target.host:  # RFC 9112, 3.2.2: an absolute target counts, whatever `Host` says
        # Else a page could name one host to the check of hosts, and another to the application.
        name = b"[%s]" % target.host if b":" in target.host else target.host
        port = b":%d" % target.port if target.port else b""
        head.headers[:] = [each for each in head.headers if each[0] != b"host"]
        head.headers.append((b"host", name + port))
    raw_path = target.path or b"/"
    path = raw_path.decode("ascii")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.version,
        "method": head.method,
        "scheme": "http",
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": target.query or b"",
        "root_path": "",
        "headers": head.headers,
        "server": addresses[0],
        "client": addresses[1],
        "state": state.copy(),  # what one request puts there, another must not see
    }
