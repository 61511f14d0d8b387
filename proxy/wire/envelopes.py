"""The error of a request in the shape of the API that it came to."""

from typing import Any

import msgspec

from ..base.errors import ApiError

ANTHROPIC = ("/v1/messages", "/messages", "/v1/v1/messages")
"""Paths of Anthropic's API, and what its clients ask whose base URL is wrong."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}

_NAMES = frozenset(_TYPES.values())


def encode(error: ApiError, path: str, request_id: bytes) -> bytes:
    """Return the body of an error's response."""
    if not is_anthropic(path):
        return error.encode()
    usual = "invalid_request_error" if error.status < 500 else "api_error"
    told = anthropic_error(_TYPES.get(error.status, usual), error.message)
    return msgspec.json.encode({**told, "request_id": request_id.decode()})


def is_anthropic(path: str) -> bool:
    """Tell whether a path belongs to Anthropic's API."""
    return path.startswith(ANTHROPIC)


def anthropic_error(kind: str, message: str) -> dict[str, Any]:
    """Return Anthropic's envelope; a `kind` that it does not have is an `api_error`."""
    return {
        "type": "error",
        "error": {"type": kind if kind in _NAMES else "api_error", "message": message},
    }
