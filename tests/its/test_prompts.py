"""Nothing but the opening user message's text changes."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from its.prompts import compose, opening, question
from its.types import Context, Layout

CONTEXT = Context(
    r"You bake {bread} and \frac{1}{2} of it is {0} %s.", "random", "bank", "baking", 0
)
BEFORE, AFTER = Layout(), Layout("after", "\n---\n")

texts = st.text(max_size=40) | st.sampled_from([r"Find $\frac{a}{b}$ {} {0} %d", "", "User: hi"])
parts = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts})
    | st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
    max_size=4,
)
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
            "content": texts | parts,
        },
        optional={"name": st.just("x"), "unknown": st.just({"deep": [1, None]})},
    ),
    min_size=1,
    max_size=12,
)


@given(messages)
def test_no_context_is_the_identity(chat: list[Any]) -> None:
    before = copy.deepcopy(chat)
    assert compose(chat, None, BEFORE) is chat
    assert chat == before


@given(messages, st.sampled_from([BEFORE, AFTER]))
def test_only_the_opening_users_text_changes(chat: list[Any], layout: Layout) -> None:
    before = copy.deepcopy(chat)
    at = opening(chat)
    if at is None:
        with pytest.raises(ValueError, match="no user message"):
            compose(chat, CONTEXT, layout)
        return
    composed = compose(chat, CONTEXT, layout)
    assert chat == before, "the request itself is not touched"
    assert [m for i, m in enumerate(composed) if i != at] == [
        m for i, m in enumerate(chat) if i != at
    ]
    new, old = dict(composed[at]), dict(chat[at])
    assert list(new) == list(old)
    assert bare(new.pop("content"), layout) == with_a_text(old.pop("content"), layout)
    assert new == old


def bare(content: Any, layout: Layout) -> Any:
    """Take the context away again: it stands exactly once, in the right part."""
    if isinstance(content, str):
        return without(content, layout)
    texts = [i for i, part in enumerate(content) if part["type"] == "text"]
    at = texts[0] if layout.placement == "before" else texts[-1]
    edited = {**content[at], "text": without(content[at]["text"], layout)}
    return [*content[:at], edited, *content[at + 1 :]]


def with_a_text(content: Any, layout: Layout) -> Any:
    """Return parts as they are, or with the empty text that a context needs."""
    if isinstance(content, str) or any(part["type"] == "text" for part in content):
        return content
    empty = {"type": "text", "text": ""}
    return [empty, *content] if layout.placement == "before" else [*content, empty]


def without(text: str, layout: Layout) -> str:
    if layout.placement == "before":
        assert text.startswith(CONTEXT.persona + layout.separator)
        return text.removeprefix(CONTEXT.persona + layout.separator)
    assert text.endswith(layout.separator + CONTEXT.persona)
    return text.removesuffix(layout.separator + CONTEXT.persona)


def test_later_turns_keep_the_prefix() -> None:
    first = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]
    later = [*first, {"role": "assistant", "content": "4"}, {"role": "user", "content": "+1?"}]
    assert compose(later, CONTEXT, BEFORE)[:2] == compose(first, CONTEXT, BEFORE)


def test_parts_around_an_image() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    chat = [
        {
            "role": "user",
            "content": [image, {"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}],
        }
    ]
    persona = CONTEXT.persona
    before = compose(chat, CONTEXT, BEFORE)[0]["content"]
    assert before == [image, {"type": "text", "text": f"{persona}\n\na"}, *chat[0]["content"][2:]]
    after = compose(chat, CONTEXT, AFTER)[0]["content"]
    assert after[-1] == {"type": "text", "text": f"b\n---\n{persona}"}
    assert question(chat) == "a\nb"
    only_image = [{"role": "user", "content": [image]}]
    assert compose(only_image, CONTEXT, BEFORE)[0]["content"] == [
        {"type": "text", "text": f"{persona}\n\n"},
        image,
    ]
    assert question(only_image) == ""
