"""Errors that a client sees: always `{"error": {...}}` with the right status.

ApiError
├── BadRequest        400  the request cannot be served as it is
├── Unauthorized      401  no key, or an unknown one
├── Forbidden         403  the key may not read this; the Host or Origin is not allowed
├── NotFound          404  no such path, or no such model for this key
├── RequestTimeout    408  the body does not come; 504: the answer does not
├── TooLarge          413  the body exceeds the limit
├── UnsupportedMedia  415  the body is compressed, or not said to be JSON
├── HeaderTooLarge    431  the headers exceed the limit
├── TooMany           429  the key has too many calls running, and its queue is full
├── MethodFault       500  a method broke the rules of its driver
├── Stopping          503  the proxy ends before the answer came
└── UpstreamError     4xx/502/503/504  an engine, or too many of a panel's, failed
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What reading JSON raises where it is wrong, too deep, or not UTF-8."""


class ApiError(Exception):
    """What went wrong, in OpenAI's error shape."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code

    @property
    def http_status(self) -> int:
        return self.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    @property
    def reason(self) -> str:
        """What the log says of it: our own word, never an engine's text."""
        return self.code or self.type

    def payload(self) -> dict[str, Any]:
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }

    def encode(self) -> bytes:
        return msgspec.json.encode(self.payload())


class BadRequest(ApiError):
    status, type = 400, "invalid_request_error"


class Unauthorized(ApiError):
    status, type = 401, "authentication_error"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"www-authenticate": "Bearer"}


class Forbidden(ApiError):
    status, type = 403, "permission_error"


class NotFound(ApiError):
    status, type = 404, "invalid_request_error"


class MethodNotAllowed(ApiError):
    status, type = 405, "invalid_request_error"

    def __init__(self, message: str, allow: str = "POST") -> None:
        super().__init__(message, code="method_not_allowed")
        self._allow = allow

    @property
    def headers(self) -> Mapping[str, str]:
        return {"allow": self._allow}


class RequestTimeout(ApiError):
    type = "timeout_error"

    def __init__(self, message: str, status: int = 408) -> None:
        super().__init__(message, code="timeout")
        self._status = status

    @property
    def http_status(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        return {"x-should-retry": "false"}


class TooLarge(ApiError):
    status, type = 413, "invalid_request_error"


class UnsupportedMedia(ApiError):
    status, type = 415, "invalid_request_error"


class HeaderTooLarge(ApiError):
    status, type = 431, "invalid_request_error"


class TooMany(ApiError):
    status, type = 429, "rate_limit_error"

    def __init__(self, message: str, *, code: str, retry_after: int = 1) -> None:
        super().__init__(message, code=code)
        self._retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": str(self._retry_after)}


class MethodFault(ApiError):
    """A panel's method did what no method may: a fault of its code, never of the request."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="method_fault")

    @property
    def headers(self) -> Mapping[str, str]:
        return {"x-should-retry": "false"}


class Stopping(ApiError):
    status, type = 503, "server_error"


class UpstreamError(ApiError):
    """An engine failed, or too many of a panel's did.

    `paid` says that the SDK must not ask again: calls were made, or our own retries are used up.
    `told` is the engine's own error object: its `code`, `type` and `param` go to the client.
    `passed` are the engine's headers that go with it (`retry-after`, `x-ratelimit-*`).
    """

    type = "upstream_error"

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
        super().__init__(message, code=code)
        self._status, self._told = status, told or {}
        self._passed, self._paid = passed or {}, paid

    @property
    def http_status(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        return {**self._passed, "x-should-retry": "false"} if self._paid else self._passed

    def payload(self) -> dict[str, Any]:
        own = super().payload()["error"]
        return {"error": {**own, **self._told}}
