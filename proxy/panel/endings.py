"""How a panel's request ends without an answer: which error, and what it tells."""

from collections.abc import Sequence

from ..base.errors import ApiError, UpstreamError
from ..base.outcome import Row
from ..config.settings import Panel
from ..engines.errors import EngineError
from .running import Running

UNPAID = frozenset({"status", "refused", "busy"})
"""Failures before anything was generated."""


def check_quorum(panel: Panel, calls: Running) -> None:
    """Refuse to go on where too few of the calls that the method first made can still come.

    A call that the method did not wait for is not missing.

    Raises:
        ApiError: the quorum is missed.
    """
    voices = [row for row in calls.rows.values() if row.voices]
    needed = quorum(panel, len(voices))
    missing = sum(row.outcome in ("failed", "late") for row in voices)
    if len(voices) - missing < needed:
        wanted = f"needs {needed} of {len(voices)} completions"
        raise _error(panel, calls, voices, wanted, "no_quorum")


def quorum(panel: Panel, asked: int) -> int:
    """Return how many of the calls first asked must come: by default, of a vote, more than half."""
    if panel.quorum is None:
        return asked // 2 + 1 if panel.votes else 0
    return min(panel.quorum, asked)


def nothing(panel: Panel, calls: Running) -> ApiError:
    """Return the error where the method has chosen nothing."""
    return _error(panel, calls, list(calls.rows.values()), "needs an answer", "no_answer")


def time_up(panel: Panel, calls: Running) -> ApiError:
    """Return the error where the method could not end without more calls, and none may start."""
    return _ended(panel, calls, "has no answer yet")


def _ended(panel: Panel, calls: Running, what: str) -> ApiError:
    budget = calls.over == "budget"
    keys = "`max_tokens_total` or `max_cost`"
    why = (
        f"budget ({keys}) is spent" if budget else f"deadline of {panel.deadline_s:g} s has passed"
    )
    return UpstreamError(
        f"the panel {panel.name!r} {what}: its {why}",
        status=502 if budget else 504,
        code="budget_spent" if budget else "deadline",
        paid=True,
    )


def cut(panel: Panel, row: Row, calls: Running) -> ApiError:
    """Return the error where a call ended after the client had seen its beginning."""
    cause = row.failed.cause if row.failed else None
    if isinstance(cause, EngineError):
        return cause.for_client(paid=True)
    if row.failed is None:
        return _ended(panel, calls, "cut its answer off")
    return UpstreamError(row.failed.detail, code=f"engine_{row.failed.kind}", paid=True)


def _error(panel: Panel, calls: Running, rows: Sequence[Row], wanted: str, code: str) -> ApiError:
    """Return the engines' own refusal where all agree on it, else what was missing.

    A call that was cancelled because the others had already refused changes neither.
    """
    failures = [row.failed for row in rows if row.failed]
    late = [row for row in rows if row.outcome == "late" or (calls.over and row.reply is None)]
    came = [row for row in rows if row.outcome == "ok"]
    statuses = {failure.status for failure in failures if failure.kind in UNPAID}
    unpaid = bool(failures) and not came and not late
    unpaid = unpaid and all(failure.kind in UNPAID for failure in failures)
    causes = [failure.cause for failure in failures if isinstance(failure.cause, EngineError)]
    settled = any(cause.settled for cause in causes)
    if unpaid and len(statuses) == 1:  # the one that asks for the longest wait
        longest = max(causes, key=lambda cause: cause.retry_seconds or 0.0)
        return longest.for_client(paid=settled)
    timed_out = calls.over == "deadline" or any(each.kind == "timeout" for each in failures)
    told = [f"and got {len(came)} ({len(late)} late)", *_reasons(rows, late)]
    return UpstreamError(
        f"the panel {panel.name!r} {wanted} {'; '.join(told)}",
        status=504 if timed_out else 502,
        code="budget_spent" if calls.over == "budget" else code,
        paid=not unpaid or settled,
    )


def _reasons(rows: Sequence[Row], late: Sequence[Row]) -> list[str]:
    """Return why each member's calls did not come, each reason once."""
    failed = (f"{row.member}: {row.failed.detail}" for row in rows if row.failed)
    slow = (f"{row.member}: late" for row in late)
    open_ = (row for row in rows if row.outcome == "cancelled" and row not in late)
    given_up = (f"{row.member}: given up as hopeless" for row in open_)
    return list(dict.fromkeys([*failed, *slow, *given_up]))
