"""Errors that a client sees: always `{"error": {...}}` with the right status.

ApiError
├── BadRequest        400  the request cannot be served as it is
├── Unauthorized      401  no key, or an unknown one
├── Forbidden         403  the key may not use this model
├── NotFound          404  no such model or path
├── RequestTimeout    408  the body does not come; 504: the answer does not
├── TooLarge          413  the body exceeds the limit
├── HeaderTooLarge    431  the headers exceed the limit
├── TooMany           429  the key has too many calls running, and its queue is full
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


class HeaderTooLarge(ApiError):
    status, type = 431, "invalid_request_error"


class TooMany(ApiError):
    status, type = 429, "rate_limit_error"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


class Stopping(ApiError):
    status, type = 503, "server_error"


class UpstreamError(ApiError):
    """An engine failed. `paid` says that engine calls were made: the SDK must not repeat them."""

    type = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        code: str,
        param: str | None = None,
        retry_after: str | None = None,
        paid: bool = False,
    ) -> None:
        super().__init__(message, param=param, code=code)
        self._status, self._retry_after, self._paid = status, retry_after, paid

    @property
    def http_status(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        found = {"retry-after": self._retry_after} if self._retry_after else {}
        return {**found, "x-should-retry": "false"} if self._paid else found
