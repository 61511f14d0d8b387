"""What a panel's ballot says of its call, as the proxy tells it."""

from collections.abc import Mapping
from typing import Any

_HEAVY = ("content", "text", "reasoning", "persona", "message")
"""Texts of a ballot, as heavy as the answer's own."""


def light(ballot: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ballot without its long texts, with what figures need of them."""
    kept = {key: value for key, value in ballot.items() if key not in _HEAVY}
    return {**kept, "thinking_tokens": ballot_thinking(ballot)}


def ballot_thinking(ballot: Mapping[str, Any]) -> int | None:
    """Return a ballot's thinking tokens: counted, else a share by characters; `None`: unknown.

    A ballot without its texts has the figure that was read from them (`light`).
    """
    if "thinking_tokens" in ballot:
        known: int | None = ballot["thinking_tokens"]
        return known
    usage = ballot.get("usage") or {}
    details = usage.get("completion_tokens_details") or {}
    if counted := details.get("reasoning_tokens") or usage.get("reasoning_tokens"):
        return int(counted)
    tokens, text = usage.get("completion_tokens"), ballot.get("content") or ""
    if tokens is None:
        return None
    thought, mark, _ = text.partition("</think>")
    return round(tokens * len(thought) / len(text)) if mark else 0
