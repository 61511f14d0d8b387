"""Addresses of servers, checked before anything is asked of them.

URL parsers are lenient: they drop tabs, encode spaces and turn `http://[` into a host name, and the
user is told of a server that cannot be reached instead of an address that is none.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address

HTTP = ("http", "https")
MOST_PORT = 65535

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<user>[^/?#@]*)@)?"
    r"(?P<host>\[[^\]/?#@]*\]|[^:/?#@\[\]]*)"
    r"(?::(?P<port>[0-9]*))?"
    r"(?P<path>/[^?#]*)?(?P<rest>[?#].*)?"
)
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+?)\.?)(?::[0-9]{0,5})?")
_SECRET = re.compile(r"(://)\S*@")
_QUERY = re.compile(r"(://[^\s?]*)\?[^\s'\"]*")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


def fault(url: str, schemes: Collection[str] = HTTP, *, secret: bool = False) -> str | None:
    """Return why `url` is no address of a server, or `None` if it is one.

    A user name or a password in it is a fault, unless it may be `secret`.
    """
    if not (url.isascii() and url.isprintable()) or " " in url:
        return "has a space or another character that no URL has"
    if url.partition("://")[0].lower() not in schemes:
        return f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    found = _URL.fullmatch(url)
    if found is None or not _is_host(found["host"]):
        return "has no valid host"
    if found["port"] is not None and not _is_port(found["port"]):
        return f"has a port that is not 1 to {MOST_PORT}"
    if found["user"] is not None and not secret:
        return "has a user name or a password in it"
    return None


def without_secret(text: str) -> str:
    """Return `text`, a URL or a command with URLs, without user names, passwords and queries.

    A password with characters that should have been escaped is left out too.
    """
    return _QUERY.sub(r"\g<1>?***", _SECRET.sub(r"\g<1>***@", text))


def path(url: str) -> str:
    """Return the path of a URL without a fault; empty if there is none."""
    found = _URL.fullmatch(url)
    return (found["path"] or "") if found else ""


def has_query(url: str) -> bool:
    """Tell whether a URL without a fault goes on after its path."""
    found = _URL.fullmatch(url)
    return bool(found and found["rest"])


def host_name(host: str) -> str:
    """Return the name or address of a `Host` header: lower case, no port, brackets or last dot.

    It is empty where the text is no host.
    """
    found = _HOST.fullmatch(host.lower())
    return (found[1] or found[2]) if found else ""


def is_loopback(address: str) -> bool:
    """Tell whether an IP address is this machine's own; a name is none."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    literal = host.startswith("[")
    # A name of digits and dots alone is taken for an address by every resolver.
    if not literal and host.strip("0123456789."):
        return _NAME.fullmatch(host) is not None and ".." not in host
    try:
        return ip_address(host.strip("[]")).version == (6 if literal else 4)
    except ValueError:
        return False


def _is_port(port: str) -> bool:
    return len(port) <= 5 and port.isdigit() and 1 <= int(port) <= MOST_PORT
