"""The sampling that a checkpoint's makers recommend, where a request says nothing about it."""

from collections.abc import Mapping
from typing import Any

from ..config.settings import Member
from .guards import EndpointKind

LONGEST_ANSWER: Mapping[EndpointKind, tuple[str, ...]] = {
    "chat": ("max_tokens", "max_completion_tokens"),
    "completions": ("max_tokens",),
}
"""The endpoints that sample, and their names for the longest answer; the first one is set."""

TEMPLATE_KWARGS, THINKING = "chat_template_kwargs", "enable_thinking"
"""The switch by which Qwen3's template, and others after it, let a model think or not."""


def defaults(
    member: Member, body: Mapping[str, Any], endpoint: EndpointKind = "chat"
) -> dict[str, Any]:
    """Return the fields that the manifest's `test` adds to `body`; a null field says nothing.

    There are none unless the member says `defaults = true`.
    """
    if not member.defaults or member.manifest is None:
        return {}
    test, found = member.manifest.test, dict[str, Any]()
    if names := LONGEST_ANSWER.get(endpoint):
        found = {"temperature": test.temperature, "top_p": test.top_p}
        if all(body.get(name) is None for name in names):
            found[names[0]] = test.max_tokens
    added = {
        name: value for name, value in found.items() if value is not None and body.get(name) is None
    }
    return added | _thinking(test.thinking, body, endpoint)


def _thinking(
    thinking: bool | None, body: Mapping[str, Any], endpoint: EndpointKind
) -> dict[str, Any]:
    """Switch thinking; for `/tokenize` too, because the template writes other tokens then."""
    chat = endpoint in ("chat", "tokenize") and body.get("messages")
    given = body.get(TEMPLATE_KWARGS) or {}
    if thinking is None or not chat or not isinstance(given, Mapping) or THINKING in given:
        return {}
    return {TEMPLATE_KWARGS: {**given, THINKING: thinking}}
