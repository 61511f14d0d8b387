"""Why a server could not be reached: the SDK says no more than "Connection error."."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from its.urls import without_secret

_SAYS_NOTHING = {"", "Connection error.", "Request timed out."}


def cause(error: BaseException) -> str:
    """Return the reason, and the remedy where there is one, from what caused `error`."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, ssl.SSLError) or "[SSL" in str(each):
            return f"TLS failed: {_text(each)}. For an authority of your own set SSL_CERT_FILE"
        if isinstance(each, socket.gaierror):
            return f"the server's name cannot be resolved: {_text(each)}"
    if any(isinstance(each, ConnectionRefusedError) for each in chain):
        return "connection refused: no server listens there"
    if any(type(each).__name__ == "ConnectTimeout" for each in chain):
        return "no connection in time: is the host reachable?"
    # The outermost that says more than the SDK does: further down are the transport's internals.
    telling = next((each for each in chain if str(each) not in _SAYS_NOTHING), error)
    return f"{type(telling).__name__}: {_text(telling)}"


def through_proxy(url: str) -> str:
    """Return which proxy of the environment stands between, such as " (through the proxy ...)"."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return ""
    shown = without_secret(proxy)
    return f" (through the environment's proxy {shown}; NO_PROXY leaves a host out)"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what caused it, down to the bottom and through groups."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo += [each.__context__, each.__cause__]
        todo += getattr(each, "exceptions", ())


def _text(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
