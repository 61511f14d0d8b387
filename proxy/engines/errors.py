"""Why an engine call failed, and what the client of a member hears of it."""

from collections.abc import Mapping
from typing import Any

from ..base.errors import UpstreamError
from ..base.outcome import Failing
from . import refusals
from .limits import Retries

PASSED_STATUS = frozenset({400, 404, 409, 410, 413, 415, 422, 424, 429, 451, 503})
"""What an engine says of the request itself, or of its own load; the rest is our 502.

Not 401, 402 and 403: they are about *our* key or account at the engine. A client that saw them
would look for the fault in its own key.
"""

RETRIED_STATUS = frozenset({429, 502, 503, 504})


class EngineError(Exception):
    """An engine call that failed.

    `told` is the engine's own `code`, `type` and `param`, `passed` the headers of its refusal
    that the client gets too. `blames_options`: it refused because of `stream_options`.
    """

    def __init__(
        self,
        kind: Failing,
        detail: str,
        status: int | None = None,
        *,
        told: Mapping[str, Any] | None = None,
        passed: Mapping[str, str] | None = None,
        blames_options: bool = False,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.status = kind, detail, status
        self.told, self.passed, self.blames_options = told or {}, passed or {}, blames_options
        self.settled = False
        """Our own retries are used up, so that the client's SDK must not begin again."""

    @property
    def retryable(self) -> bool:
        """Nothing was generated, and the next attempt may fare better."""
        return self.kind == "refused" or (self.kind == "status" and self.status in RETRIED_STATUS)

    @property
    def retry_seconds(self) -> float | None:
        """What the engine asks to wait; `None` where it does not say."""
        return refusals.seconds(self.passed)

    def settle(self, retries: Retries) -> None:
        """Decide, once nothing is tried again, whether the client's SDK may.

        It repeats 429 and 5xx twice on its own. Three calls of it with three attempts of ours
        each would be nine. It may go on only where we repeated nothing: after a failure that we
        never repeat, without retries of ours (`server.retries = 0`, or the SDK has used them), and
        after a 429 that asks for a longer wait than we may make.
        """
        wait = self.retry_seconds
        too_long = self.status == 429 and wait is not None and wait > retries.seconds
        may_repeat = self.retryable and retries.number > 0 and not too_long
        self.settled = retries.repeated or may_repeat

    def for_client(self, *, paid: bool = False) -> UpstreamError:
        """Return the error that a client of one member sees."""
        # In all three cases the engine may well have generated what was lost.
        paid = paid or self.settled or self.kind in {"timeout", "broken", "protocol"}
        if self.kind == "timeout":
            return UpstreamError(self.detail, status=504, code="engine_timeout", paid=paid)
        status = self.status if self.status in PASSED_STATUS else None
        theirs = status is not None and status < 500
        return UpstreamError(
            self.detail,
            status=status or 502,
            code=f"engine_{self.kind}",
            told=self.told if theirs else None,
            passed=self.passed,
            paid=paid,
        )
