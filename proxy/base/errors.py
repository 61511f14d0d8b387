"""Errors that a client sees: always `{"error": {...}}` with the right status.

ApiError              any status, by its argument
├── BadRequest        400  the request cannot be served as it is
├── TooMany           429  the key has too many calls running, or no tokens left
├── MethodFault       500  a method broke the rules of its driver
└── UpstreamError     4xx/502/503/504  an engine, or too many of a panel's, failed

Only what somebody catches, or many functions raise, has a class of its own. The other statuses are
arguments of `ApiError`: 401, 403, 404, 405, 408, 413, 415, 431, 500, 503 and 504.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What reading JSON raises where it is wrong, too deep, or not UTF-8."""

TYPES: Mapping[int, str] = {
    **dict.fromkeys((400, 404, 405, 413, 415, 431), "invalid_request_error"),
    401: "authentication_error",
    403: "permission_error",
    408: "timeout_error",
    429: "rate_limit_error",
    504: "timeout_error",
}
"""OpenAI's `type` by status; every other one is a `server_error`."""

NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}
"""Tells OpenAI's SDK not to ask again."""


class ApiError(Exception):
    """What went wrong, in OpenAI's error shape. `headers` go with the response."""

    def __init__(
        self,
        message: str,
        status: int = 500,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code = message, status, param, code
        self.type = TYPES.get(status, "server_error")
        self._headers = headers or {}

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the response gets beside its own."""
        return self._headers

    @property
    def reason(self) -> str:
        """What the log says of it: our own word, never an engine's text."""
        return self.code or self.type

    def payload(self) -> dict[str, Any]:
        """Return the response's body."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }

    def encode(self) -> bytes:
        """Return the response's body as JSON."""
        return msgspec.json.encode(self.payload())


class BadRequest(ApiError):
    """The request cannot be served as it is."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, 400, param=param, code=code)


class TooMany(ApiError):
    """The key has too many calls running and its queue is full, or it has no tokens left."""

    def __init__(self, message: str, *, code: str = "key_busy", retry_after: int = 1) -> None:
        super().__init__(message, 429, code=code, headers={"retry-after": str(retry_after)})


class MethodFault(ApiError):
    """A panel's method did what no method may: a fault of its code, never of the request."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 500, code="method_fault", headers=NO_RETRY)


class UpstreamError(ApiError):
    """An engine failed, or too many of a panel's did.

    `paid` says that the SDK must not ask again: calls were made, or our own retries are used up.
    `told` is the engine's own error object: its `code`, `type` and `param` go to the client.
    `passed` are the engine's headers that go with it (`retry-after`, `x-ratelimit-*`).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        code: str,
        told: Mapping[str, Any] | None = None,
        passed: Mapping[str, str] | None = None,
        paid: bool = False,
    ) -> None:
        headers = {**(passed or {}), **(NO_RETRY if paid else {})}
        super().__init__(message, status, code=code, headers=headers)
        self.type, self._told = "upstream_error", told or {}

    def payload(self) -> dict[str, Any]:
        own = super().payload()["error"]
        return {"error": {**own, **self._told}}
