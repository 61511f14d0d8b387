"""Values in what a server answers, which may be of any type: those that can be used."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SURROGATES = re.compile("[\ud800-\udfff]")
_TOLD_TEXTS = frozenset(
    {"strategy", "drawn", "persona", "source", "domain", "winner", "member", "outcome", "answer",
     "content", "error", "finish_reason"}
)  # fmt: skip
"""Fields of a proxy's `input_time` that are texts or null."""

_LARGEST, _DIGITS = 2.0**53, 16
"""No number of tokens or seconds is as large."""


def whole(pieces: Sequence[str]) -> str:
    """Join pieces; halves of a surrogate pair that came apart meet, and a lone half is U+FFFD."""
    text = "".join(pieces)
    if text.isascii() or not _SURROGATES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def input_time(value: object) -> dict[str, Any]:
    """Return what a proxy said: fields of the types that every reader of them takes for granted."""
    told = _typed(mapping(value))
    if "ballots" in told:
        given = told["ballots"]
        each = [_typed(ballot) for ballot in (given if isinstance(given, list) else ())
                if isinstance(ballot, dict)]  # fmt: skip
        told["ballots"] = [
            ballot for ballot in each if ballot.get("member") and ballot.get("outcome")
        ]
    return told


def _typed(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a call without fields of another type; lone surrogates are U+FFFD."""
    found = {
        key: whole([value]) if isinstance(value, str) else value
        for key, value in told.items()
        if key not in _TOLD_TEXTS or value is None or isinstance(value, str)
    }
    if "seconds" in found and not _is_number(found["seconds"]):
        del found["seconds"]
    if found.get("outcome"):  # a ballot
        found["usage"] = _counts(found.get("usage"))
    return found


def _counts(usage: object) -> dict[str, Any]:
    """Return the counts of tokens in `usage`, nested ones too."""
    found: dict[str, Any] = {}
    for key, value in mapping(usage).items():
        kept = _counts(value) if key.endswith("_details") else count(value)
        if kept is not None:
            found[key] = kept
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def count(value: object) -> int | None:
    """Return a number of tokens; `None` for what is none, such as -1, "many", true or 1e300."""
    if isinstance(value, str) and value.isdecimal() and len(value) < _DIGITS:
        return int(value)
    if not _is_number(value):
        return None
    assert isinstance(value, int | float)
    return int(value) if value >= 0 and value == int(value) else None
