"""The page's own files: HTML, CSS and JavaScript modules, from memory, with a strict policy.

They hold no secret, so they need no key. What they show does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.types import Scope

from ..config.settings import Settings

FOLDER = Path(__file__).parent / "static"
SHELL = "index.html"
PATHS = ("/", "/verdicts", "/engines")
"""Where the page itself is, if a browser asks for it."""

ASSETS = "/page/"

TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)

HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent."""

    body: bytes
    media_type: str
    etag: str


@cache
def files() -> Mapping[str, File]:
    """Return all files by name."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in TYPES:
            body = path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            found[path.name] = File(body, TYPES[path.suffix], tag)
    return found


def wanted(scope: Scope, settings: Settings) -> str | None:
    """Return the name of the page's file that a request is for; `None` if it is for none.

    A browser that opens a verdict gets the page, a program its JSON: by `Accept`.
    """
    if not settings.page.shown or scope["method"] not in ("GET", "HEAD"):
        return None
    path: str = scope["path"]
    if path.startswith(ASSETS):
        name = path.removeprefix(ASSETS)
        return name if name in files() else None
    if path == "/" or ((path in PATHS or path.startswith("/verdicts/")) and _from_browser(scope)):
        return SHELL
    return None


def _from_browser(scope: Scope) -> bool:
    return any(
        name == b"accept" and b"text/html" in value.lower() for name, value in scope["headers"]
    )
