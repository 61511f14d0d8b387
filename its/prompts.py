"""The one place where a prompt is composed, for training data and for serving alike.

The context stands in the *first user message* and never moves, so that later turns of a chat
keep the engine's prefix cache (Input-Time Scaling, arXiv 2508.13654, puts it beside the question).
The instruction of a checkpoint joins the question first, and the context stands beside both.
Text is concatenated, never formatted: questions are full of LaTeX braces.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .types import Context, Layout, Message, Placement

TEXT_PARTS = frozenset({"text", "input_text"})

SYSTEM_ROLES = frozenset({"system", "developer"})
"""OpenAI's newer name for the system role is `developer`."""

LATER_ROLES = frozenset({"user", "tool", "function"})
"""Who speaks for the client: itself, and the tools that it runs."""

BLANK_LINE = "\n\n"
"""Joins an instruction to its question."""


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
    return None if index is None else text_of(messages[index])


def goes_on(messages: Sequence[Message]) -> bool:
    """Tell whether a chat goes on: whether the client has said more since its opening question.

    An answer's beginning that the engine is to continue is no turn of the client. The items of
    OpenAI's Responses API have a type in place of a role, such as `function_call_output`.
    """
    index = opening(messages)
    if index is None:
        return False
    later = messages[index + 1 :]
    return any(
        each.get("role") in LATER_ROLES or str(each.get("type", "")).endswith("_output")
        for each in later
    )


def text_of(message: Message) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or [] if _is_text(part))


def bare(text: str, layout: Layout) -> str:
    """Return a question without the instruction of `layout`, which the client may have added.

    Contexts are picked for this text, so that training and serving pick for the same one.
    """
    if layout.instruction:
        for placement in _sides(layout):
            if rest := _without(text, layout.instruction, placement):
                return rest
    return text


def compose_text(text: str, context: Context | None, layout: Layout) -> str:
    """Return a bare prompt with the instruction and `context`; without both it is the identity.

    An instruction that the text has already is not added again. If it begins or ends the text, it
    is joined again as it was in training.
    """
    if layout.instruction:
        asked = bare(text, layout)
        if asked != text or layout.instruction not in text:
            text = _join(layout.instruction, asked, layout.instruction_placement, BLANK_LINE)
    if context is None:
        return text
    return _join(context.persona, text, layout.placement, layout.separator)


def compose(
    messages: Sequence[Message],
    context: Context | None,
    layout: Layout,
    part: str = "text",
) -> Sequence[Message]:
    """Return `messages` with system text, instruction and `context`, and nothing else changed.

    Without any of them it is the identity. In a list of parts the first text part is edited (the
    last, for what stands after the question); a part, of type `part`, is added only where there is
    no text part. The items of OpenAI's Responses API are messages too, with `input_text` parts.
    A system text of the client stands for ours (`other_system` tells whether it is another one).

    Raises:
        ValueError: there is no user message to put the context or the instruction into.
    """
    if context is None and not layout.instruction:
        return _with_system(messages, layout)
    index = opening(messages)
    if index is None:
        raise ValueError("no user message to put the context or the instruction into")
    message = messages[index]
    content = message.get("content")
    composed = (
        compose_text(content, context, layout)
        if isinstance(content, str)
        else _compose_parts(content or [], context, layout, part)
    )
    edited = [*messages[:index], {**message, "content": composed}, *messages[index + 1 :]]
    return _with_system(edited, layout)


def other_system(messages: Sequence[Message], layout: Layout) -> bool:
    """Tell whether `messages` hold a system text that is not the one of `layout`, in its place.

    A layout without a system text says nothing about system texts, and so does an empty one of the
    client, which many clients send where nobody has set any.
    """
    if not layout.system:
        return False
    said = [each for each in messages if not is_empty_system(each)]
    found = [at for at, each in enumerate(said) if each.get("role") in SYSTEM_ROLES]
    if not found:
        return False
    return found != [0] or text_of(said[0]).strip() != layout.system.strip()


def is_empty_system(message: Message) -> bool:
    """Tell whether `message` is a system message without anything but spaces in it."""
    if message.get("role") not in SYSTEM_ROLES:
        return False
    content = message.get("content")
    if isinstance(content, list):
        return all(_is_text(part) for part in content) and not text_of(message).strip()
    return content is None or (isinstance(content, str) and not content.strip())


def _with_system(messages: Sequence[Message], layout: Layout) -> Sequence[Message]:
    if not layout.system or other_system(messages, layout):
        return messages
    trained = {"role": "system", "content": layout.system}
    # A template would write an empty system message as one more turn.
    said = [each for each in messages if not is_empty_system(each)]
    if not said or said[0].get("role") not in SYSTEM_ROLES:
        return [trained, *said]
    # It is ours, but a template may write parts, spaces or the role `developer` in another way.
    return [{**said[0], **trained}, *said[1:]]


def _join(added: str, text: str, placement: Placement, separator: str) -> str:
    if placement == "before":
        return added + separator + text
    return text + separator + added


def _sides(layout: Layout) -> Sequence[Placement]:
    """Return where an instruction may stand already: as in training first."""
    return ("before", "after") if layout.instruction_placement == "before" else ("after", "before")


def _without(text: str, instruction: str, placement: Placement) -> str | None:
    """Return `text` without the instruction at one side; `None` where it is not there."""
    # The exact blank line first: spaces around the question itself must survive.
    if placement == "before":
        if text.startswith(instruction + BLANK_LINE):
            return text.removeprefix(instruction + BLANK_LINE)
        begins = text.lstrip().startswith(instruction)
        return text.lstrip().removeprefix(instruction).lstrip() if begins else None
    if text.endswith(BLANK_LINE + instruction):
        return text.removesuffix(BLANK_LINE + instruction)
    ends = text.rstrip().endswith(instruction)
    return text.rstrip().removesuffix(instruction).rstrip() if ends else None


def _compose_parts(
    parts: Sequence[Any], context: Context | None, layout: Layout, kind: str
) -> Sequence[Any]:
    if layout.instruction:
        parts = _instructed(parts, layout.instruction, layout, kind)
    if context is None:
        return parts
    return _edit(parts, context.persona, layout.placement, layout.separator, kind)


def _instructed(parts: Sequence[Any], instruction: str, layout: Layout, kind: str) -> Sequence[Any]:
    """Return the parts with the instruction, which may stand in one of them already."""
    texts = [index for index, part in enumerate(parts) if _is_text(part)]
    for placement in _sides(layout) if texts else ():
        at = texts[0] if placement == "before" else texts[-1]
        rest = _without(parts[at]["text"], instruction, placement)
        if rest is not None:
            kept = [{**parts[at], "text": rest}] if rest or len(texts) == 1 else []
            parts = [*parts[:at], *kept, *parts[at + 1 :]]
            break
    else:
        if any(instruction in parts[at]["text"] for at in texts):
            return parts
    return _edit(parts, instruction, layout.instruction_placement, BLANK_LINE, kind)


def _edit(
    parts: Sequence[Any], added: str, placement: Placement, separator: str, kind: str
) -> list[Any]:
    texts = [i for i, part in enumerate(parts) if _is_text(part)]
    before = placement == "before"
    if not texts:
        new = {"type": kind, "text": _join(added, "", placement, separator)}
        return [new, *parts] if before else [*parts, new]
    at = texts[0] if before else texts[-1]
    edited = {**parts[at], "text": _join(added, parts[at]["text"], placement, separator)}
    return [*parts[:at], edited, *parts[at + 1 :]]


def _is_text(part: object) -> bool:
    return (
        isinstance(part, Mapping)
        and part.get("type") in TEXT_PARTS
        and isinstance(part.get("text"), str)
    )
