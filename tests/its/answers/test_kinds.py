"""The kind of answer that a request wants, and how each kind is read and compared."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from its.answers import Comparison, Kind, cluster, compare, kind_of, parse, read, read_or_parse

MAMMALS = "Which is a mammal?\nA) Trout\nB) Whale shark\nC) Dolphin\nD) Shark"


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (asked("What is 3 + 4?"), "math"),
        (asked(MAMMALS), "choice"),
        (asked("Pick one: (A) red (B) blue (C) dark blue"), "choice"),
        (asked("Choose.\n(a) 3\n(b) 4"), "choice"),
        (asked("**A.** red\n**B.** blue"), "choice"),
        (asked("A. B. Smith wrote a paper. What is 3 + 4?"), "math"),
        (asked("Let A: be a set. Find B."), "math"),
        (asked("Do (a) first, then tell me more."), "math"),
        (asked("x", response_format={"type": "json_schema", "json_schema": {}}), "json"),
        (asked("x", response_format={"type": "json_object"}), "json"),
        (asked("x", response_format={"type": "text"}), "math"),
        (asked("x", tools=[{"type": "function"}]), "tool"),
        (asked("x", tools=[]), "math"),
        (asked("x", tools=[{"type": "function"}], tool_choice="none"), "math"),
        ({}, "math"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": MAMMALS}]}]},
            "choice",
        ),
    ],
)
def test_auto(body: dict[str, Any], name: str) -> None:
    assert kind_of(body).name == name


def test_the_last_user_message_has_the_options() -> None:
    chat = [
        {"role": "user", "content": MAMMALS},
        {"role": "assistant", "content": "C"},
        {"role": "user", "content": "How much is 3 + 4?"},
    ]
    assert kind_of({"messages": chat}) == Kind("math")


def test_what_is_configured_goes_first() -> None:
    assert kind_of(asked(MAMMALS), "text") == Kind("text")
    assert kind_of(asked("x"), "json", ("a", "b.c")) == Kind("json", keys=("a", "b.c"))
    assert dict(kind_of(asked(MAMMALS), "choice").options)["C"] == "Dolphin"
    with pytest.raises(ValueError, match=r"Unknown kind of answers 'maths'. Did you mean 'math'"):
        kind_of(asked("x"), "maths")


CHOSEN = [
    ("C", "C"), ("Dolphin", "C"), ("dolphin.", "C"), ("The answer is Dolphin.", "C"),
    ("C) Dolphin", "C"), ("It is a dolphin.", "C"), ("The dolphin is the mammal.", "C"),
    ("Option B is wrong; Trout is a fish. The answer must be C.", "C"),
    ("D is incorrect, so C.", "C"),
    (r"\boxed{Dolphin}", "C"), (r"\boxed{\text{C}}", "C"), ("**C**", "C"), ("Shark", "D"),
    ("The correct answer is **C) Dolphin**.", "C"), ("Whale shark", "B"), ("I choose (C).", "C"),
    ('{"answer": "Dolphin"}', "C"), ("A and B are fish. C is right.", "C"), ("(C)", "C"),
    ("Answer: C\n\nBecause dolphins are mammals, unlike A.", "C"), ("My answer: dolphin", "C"),
    ("Sharks are fish, so the dolphin.", "C"), ("None of them is one.", None), ("Hmm.", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "letter"), CHOSEN)
def test_an_option_and_its_letter_are_one_answer(text: str, letter: str | None) -> None:
    found = read({"content": text}, kind=kind_of(asked(MAMMALS)))
    assert (found.text if found else None) == letter


def test_objects_are_compared_as_json() -> None:
    same = ['{"a": 1, "b": [1, 2.50]}', '```json\n{"b": [1.0, 2.5], "a": 1e0}\n```']
    other = ['{"a": "1", "b": [1, 2.5]}', '{"a": 1, "b": [2.5, 1]}', '{"a": true, "b": [1, 2.5]}']
    replies = [read({"content": text}, kind=Kind("json")) for text in (*same, *other)]
    assert cluster(replies) == [[0, 1], [2], [3], [4]]
    assert read({"content": "no object"}, kind=Kind("json")) is None


def test_only_the_keys_that_count_are_compared() -> None:
    kind = Kind("json", keys=("city.name", "year"))
    texts = [
        '{"city": {"name": "Rome", "x": 1}, "year": 1}',
        '{"year": 1.0, "city": {"name": "Rome"}}',
    ]
    one, two = (read({"content": text}, kind=kind) for text in texts)
    assert one == two is not None
    assert read({"content": '{"town": "Rome"}'}, kind=kind) is None


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def test_calls_of_tools_are_a_set() -> None:
    kind = Kind("tool")
    one = {"content": None, "tool_calls": [call("f", '{"x": 1, "y": "a"}'), call("g", "{}")]}
    two = {"tool_calls": [call("g", ""), call("f", '{"y": "a", "x": 1.0}')]}
    other = {"tool_calls": [call("f", '{"x": 2, "y": "a"}'), call("g", "{}")]}
    broken = {"tool_calls": [call("f", '{"x": 1'), None, 3, {"function": None}]}
    talk = {"content": "I need no tool."}
    replies = [read(message, kind=kind) for message in (one, two, other, broken, talk)]
    assert cluster(replies) == [[0, 1], [2], [3], [4]]
    assert replies[4] is not None
    assert replies[4].kind == "text"
    gold = read_or_parse('{"name": "f", "arguments": {"x": 1}}', "tool")
    assert gold == read({"tool_calls": [call("f", '{"x": 1}')]}, kind=kind)


def test_texts_are_equal_after_trimming_and_nfc() -> None:
    texts = [" caf\u00e9\n", "cafe\u0301", "Caf\u00e9", "<think>\u00e9</think>caf\u00e9"]
    replies = [read({"content": text}, kind=Kind("text")) for text in texts]
    assert cluster(replies) == [[0, 1, 3], [2]]
    assert read({"content": "half a"}, kind=Kind("text"), finish_reason="length") is None


def test_labels_have_no_case_and_no_final_stop() -> None:
    texts = ["Spam", "spam.", "**SPAM**", "Label: spam", '{"label": "spam"}', "ham"]
    replies = [read({"content": text}, kind=Kind("label")) for text in texts]
    assert cluster(replies) == [[0, 1, 2, 3, 4], [5]]


def test_a_word_equals_a_sentence_that_states_it() -> None:
    texts = ["Tokyo", "The capital of Japan is Tokyo.", "Osaka", "**Tokyo**", "It's Tokyo."]
    replies = [read({"content": text}) for text in texts]
    assert cluster(replies) == [[0, 1, 3, 4], [2]]
    denied = read({"content": "I have never been to Tokyo."})
    assert denied is None


POOL = [
    "5",
    "5%",
    "0.05",
    "5 cm",
    "5 m",
    "50 mm",
    "500%",
    "5.0",
    "five",
    "5 dollars",
    "x",
    "x=5",
    "A",
]


@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_clusters_are_pairwise_equal_whatever_the_order(
    texts: list[str], draw: random.Random
) -> None:
    groups = cluster([parse(text) for text in texts])
    assert sorted(i for group in groups for i in group) == list(range(len(texts)))
    for group in groups:
        for i in group:
            for j in group:
                a, b = parse(texts[i]), parse(texts[j])
                assert a is not None
                assert b is not None
                assert compare(a, b) is Comparison.EQUAL
    order = list(range(len(texts)))
    draw.shuffle(order)
    shuffled = cluster([parse(texts[i]) for i in order])
    assert {frozenset(order[i] for i in group) for group in shuffled} == set(map(frozenset, groups))


def test_nearest_spelling_then_the_larger_cluster() -> None:
    assert cluster([parse(text) for text in ("5", "5 cm", "5 m")]) == [[0, 2], [1]]
    assert cluster([parse(text) for text in ("5", "5%", "0.05")]) == [[0, 1], [2]]
    # 5 kg and 5 km are spelled equally like 5: the larger one gets it.
    texts = ("5 kg", "5 km", "5", "5 km")
    assert cluster([parse(text) for text in texts]) == [[0], [1, 2, 3]]


LETTERS = [
    *(
        "B",
        "b",
        "(b)",
        "option b",
        "B) 0.5",
        "0.5",
        "1/2",
        r"\frac{1}{2}",
        r"$\frac12$",
        r"\boxed{1/2}",
    ),
    *("A is out. One half it is: B.", "That leaves B.", "The answer is $\\frac{1}{2}$.", "答案：B"),
]


@pytest.mark.parametrize("text", LETTERS)
def test_a_choice_by_its_letter_or_its_value(text: str) -> None:
    question = "Solve.\n\nA. 3/4\nB. 0.5\nC. $\\frac{1}{3}$\nD. None of the above"
    kind = kind_of({"messages": [{"role": "user", "content": question}]})
    answer = read({"content": text}, kind=kind)
    assert answer is not None
    assert answer.text == "B"
