"""The one place where a prompt is composed, for training data and for serving alike.

The context stands in the *first user message* and never moves, so that later turns of a chat
keep the engine's prefix cache (Input-Time Scaling, arXiv 2508.13654, puts it beside the question).
Text is concatenated, never formatted: questions are full of LaTeX braces.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .types import Context, Layout, Message

TEXT_PARTS = frozenset({"text", "input_text"})


def opening(messages: Sequence[Message]) -> int | None:
    """Return the index of the first user message, or `None`."""
    for index, message in enumerate(messages):
        if message.get("role") == "user":
            return index
    return None


def question(messages: Sequence[Message]) -> str | None:
    """Return the opening question: the text of the first user message, `""` if it has no text.

    `None` where there is no user message.
    """
    index = opening(messages)
    if index is None:
        return None
    content = messages[index].get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or [] if _is_text(part))


def compose_text(text: str, context: Context | None, layout: Layout) -> str:
    """Return a bare prompt with `context` beside it; no context is the identity."""
    return text if context is None else _join(context.persona, text, layout)


def compose(
    messages: Sequence[Message],
    context: Context | None,
    layout: Layout,
    part: str = "text",
) -> Sequence[Message]:
    """Return `messages` with `context` in the opening user message and nothing else changed.

    No context is the identity. In a list of parts the first text part is edited (the last, where
    the context stands after the question); a part, of type `part`, is added only where there is
    no text part. The items of OpenAI's Responses API are messages too, with `input_text` parts.

    Raises:
        ValueError: there is no user message to put the context into.
    """
    if context is None:
        return messages
    index = opening(messages)
    if index is None:
        raise ValueError("no user message to put the context into")
    message = messages[index]
    content = message.get("content")
    composed = (
        _join(context.persona, content, layout)
        if isinstance(content, str)
        else _edit(content or [], context.persona, layout, part)
    )
    return [*messages[:index], {**message, "content": composed}, *messages[index + 1 :]]


def _join(persona: str, text: str, layout: Layout) -> str:
    if layout.placement == "before":
        return persona + layout.separator + text
    return text + layout.separator + persona


def _edit(parts: Sequence[Any], persona: str, layout: Layout, kind: str) -> list[Any]:
    texts = [i for i, part in enumerate(parts) if _is_text(part)]
    before = layout.placement == "before"
    if not texts:
        added = {"type": kind, "text": _join(persona, "", layout)}
        return [added, *parts] if before else [*parts, added]
    at = texts[0] if before else texts[-1]
    edited = {**parts[at], "text": _join(persona, parts[at]["text"], layout)}
    return [*parts[:at], edited, *parts[at + 1 :]]


def _is_text(part: object) -> bool:
    return (
        isinstance(part, Mapping)
        and part.get("type") in TEXT_PARTS
        and isinstance(part.get("text"), str)
    )
