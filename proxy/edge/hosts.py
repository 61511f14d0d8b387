"""Who may reach a proxy that has no keys.

Without keys whoever reaches the port is served, and any web page that the user opens can make the
browser send requests to a port of this machine. Two headers that no page can set tell them apart:

- `Host` is the name that was asked for. A page whose own name was made to resolve to 127.0.0.1
  (DNS rebinding) may read every answer, but its requests still carry its own name.
- `Origin` is the page that sends the request. The browser hides the answer from a foreign page,
  but the request itself would already have cost engine time.

With keys neither is checked: no page has the key.
"""

from collections.abc import Collection
from functools import lru_cache

from its.urls import host_name, is_loopback

from ..base.errors import ApiError
from ..base.record import Record

MOST_HOST = 300
"""Bytes of a `Host` that are looked at; DNS names have at most 253."""

_DEFAULT_PORT = {"http": ":80", "https": ":443"}


def require_allowed_host(
    record: Record, hosts: frozenset[str], origins: Collection[str], *, insecure: bool
) -> None:
    """Refuse what a web page sends to a proxy without keys.

    `hosts` are the names that are served beside this machine's own, `origins` the pages that may
    ask (`*`: all). With `insecure` every `Host` is served.

    Raises:
        ApiError: a 403, `host_not_allowed` or `origin_not_allowed`.
    """
    host = record.host
    ours = len(host) <= MOST_HOST and _is_served(host, hosts)
    if not ours and not insecure:
        raise ApiError(
            "This proxy has no keys, so it is served to this machine only, and not as"
            f" {_shown(host)}. Add the name to server.allowed_hosts, or set up a key.",
            status=403,
            code="host_not_allowed",
        )
    origin = record.origin
    # A page of the proxy's own address is no foreign one. That holds for names which are ours only:
    # a page that rebinds its name has an `Origin` equal to the `Host` too.
    if origin and not (ours and _same(origin, host)) and not _listed(origin, origins):
        raise ApiError(
            f"This proxy has no keys, so it refuses the web page {_shown(origin)}. Add it to"
            " server.cors_origins, or set up a key.",
            status=403,
            code="origin_not_allowed",
        )


@lru_cache(maxsize=256)
def _is_served(host: bytes, hosts: frozenset[str]) -> bool:
    name = host_name(host.decode("latin-1"))
    local = name == "localhost" or name.endswith(".localhost") or is_loopback(name)
    return local or (name in hosts and name != "")


def _same(origin: bytes, host: bytes) -> bool:
    scheme, _, place = origin.decode("latin-1").lower().partition("://")
    port = _DEFAULT_PORT.get(scheme)
    if port is None:
        return False
    return place.removesuffix(port) == host.decode("latin-1").lower().removesuffix(port)


def _listed(origin: bytes, origins: Collection[str]) -> bool:
    return "*" in origins or origin.decode("latin-1") in origins


def _shown(value: bytes) -> str:
    return repr(value[:100].decode("latin-1"))
