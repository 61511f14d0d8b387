"""Nothing but the opening user message's text changes."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from its.prompts import bare, compose, compose_text, opening, other_system, question
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
    assert stripped(new.pop("content"), layout) == with_a_text(old.pop("content"), layout)
    assert new == old


def stripped(content: Any, layout: Layout) -> Any:
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


SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
SAY = "Put the answer into \\boxed{}."
LAYOUTS = [
    Layout(place, "\n\n", None, SAY, said)
    for place in ("before", "after")
    for said in ("before", "after")
]


def user(content: Any) -> list[Any]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_instruction_joins_the_question_and_the_context_stands_beside_both(
    layout: Layout,
) -> None:
    asked = f"{SAY}\n\n2+2?" if layout.instruction_placement == "before" else f"2+2?\n\n{SAY}"
    persona = CONTEXT.persona
    whole = f"{persona}\n\n{asked}" if layout.placement == "before" else f"{asked}\n\n{persona}"
    assert compose(user("2+2?"), None, layout) == user(asked)
    assert compose(user("2+2?"), CONTEXT, layout) == user(whole)
    assert compose_text("2+2?", CONTEXT, layout) == whole


@given(texts, st.sampled_from(LAYOUTS))
def test_an_instruction_is_added_once(text: str, layout: Layout) -> None:
    once = compose_text(text, None, layout)
    assert compose_text(once, None, layout) == once
    assert once.count(SAY) == 1
    if text:
        assert bare(once, layout) == text, "contexts are picked for the question itself"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("client", [f"2+2? {SAY}", f"2+2?\n{SAY}\n", f"{SAY} 2+2?"])
def test_a_clients_own_instruction_is_joined_as_in_training(layout: Layout, client: str) -> None:
    assert compose_text(client, None, layout) == compose_text("2+2?", None, layout)
    assert bare(client, layout) == "2+2?"


@pytest.mark.parametrize("text", [SAY, f"Q? {SAY} In French."])
def test_an_instruction_within_the_text_stays_where_it_is(text: str) -> None:
    for layout in LAYOUTS:
        assert compose_text(text, None, layout) == text
        parts = [{"type": "text", "text": f"Q? {SAY} In French."}]
        assert compose(user(parts), None, layout) == user(parts)


def test_instructions_among_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    a, b = {"type": "text", "text": "a"}, {"type": "text", "text": "b"}
    first, _, _, last = LAYOUTS
    assert compose(user([a, image, b]), CONTEXT, last)[0]["content"][-1]["text"] == (
        f"b\n\n{SAY}\n\n{CONTEXT.persona}"
    )
    assert compose(user([a, image, b]), CONTEXT, first)[0]["content"][0]["text"] == (
        f"{CONTEXT.persona}\n\n{SAY}\n\na"
    )
    own = [a, image, {"type": "text", "text": SAY}]
    assert compose(user(own), None, last) == compose(user([a, image]), None, last)
    assert bare(question(user(own)) or "", last) == "a"
    assert compose(user([image]), None, last)[0]["content"] == [
        image, {"type": "text", "text": f"\n\n{SAY}"},
    ]  # fmt: skip
    assert len(compose(user([image]), CONTEXT, last)[0]["content"]) == 2


def test_the_system_text_stands_first_unless_it_is_there() -> None:
    layout = Layout(system=SYSTEM)
    chat = user("2+2?")
    ours = {"role": "system", "content": SYSTEM}
    assert compose(chat, None, layout) == [ours, *chat]
    for said in (
        ours,
        {"role": "developer", "content": SYSTEM},
        {"role": "system", "content": [{"type": "text", "text": f"{SYSTEM}\n"}]},
    ):
        assert compose([said, *chat], None, layout) == [ours, *chat]
        assert not other_system([said, *chat], layout)
    assert compose([{**ours, "name": "x"}, *chat], None, layout)[0]["name"] == "x"


@pytest.mark.parametrize(
    "empty",
    ["", " \n", None, [], [{"type": "text", "text": " "}], [{"type": "input_text", "text": ""}]],
)
@pytest.mark.parametrize("role", ["system", "developer"])
def test_an_empty_system_text_says_nothing(role: str, empty: Any) -> None:
    layout, said = Layout(system=SYSTEM), {"role": role, "content": empty}
    chat, ours = user("2+2?"), {"role": "system", "content": SYSTEM}
    for messages in ([said, *chat], [*chat, said], [said, ours, *chat], [ours, said, *chat]):
        assert not other_system(messages, layout)
        assert compose(messages, None, layout) == [ours, *chat]
    assert other_system([said, {"role": "system", "content": "Be brief."}, *chat], layout)
    assert compose([said, *chat], None, Layout()) == [said, *chat], "nothing is trained in"


@pytest.mark.parametrize(
    "said",
    [
        [{"role": "system", "content": "Be brief."}, *user("2+2?")],
        [{"role": "developer", "content": "Be brief."}, *user("2+2?")],
        [{"role": "system", "content": [{"type": "image_url"}]}, *user("2+2?")],
        [*user("2+2?"), {"role": "system", "content": SYSTEM}],
        [{"role": "system", "content": SYSTEM}, *user("?"), {"role": "system", "content": "No."}],
    ],
)
def test_another_system_text_is_seen_and_left_alone(said: list[Any]) -> None:
    assert other_system(said, Layout(system=SYSTEM))
    assert compose(said, None, Layout(system=SYSTEM)) is said
    assert not other_system(said, Layout()), "a layout without one says nothing about it"


def test_later_turns_keep_the_prefix_with_an_instruction() -> None:
    layout = Layout("before", "\n\n", SYSTEM, SAY)
    first = user("2+2?")
    later = [*first, {"role": "assistant", "content": "4"}, *user(f"+1? {SAY}")]
    composed = compose(later, CONTEXT, layout)
    assert composed[:2] == compose(first, CONTEXT, layout)
    assert composed[2:] == later[1:]
