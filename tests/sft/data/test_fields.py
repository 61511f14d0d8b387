"""Nothing of a row is lost without a word: a field is used, may be ignored, or is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.data.examples import Columns, TrainingExample, recognise
from sft.data.raw import Bad
from tests.conftest import command
from tests.sft.data.test_build import save as _save

save = _save


def read(row: dict[str, Any], *ignored: str, **columns: str) -> TrainingExample | Bad:
    shape = recognise(row, Columns(**columns), frozenset(ignored))
    return shape if isinstance(shape, Bad) else shape(row)


def chat(*turns: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Q?"}, *turns], **fields}


def said(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "A\n", **fields}


THOUGHT = "<think>\nhm\n</think>\n\nA\n"


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ({"instruction": "Add.", "input": "2 and {3}", "output": "5 "},
         "Add.\n\n### Input:\n2 and {3}", "5 "),
        ({"instruction": "Add 2 and 3.", "input": "", "output": "5"}, "Add 2 and 3.", "5"),
        ({"instruction": "Add 2 and 3.", "input": None, "output": "5"}, "Add 2 and 3.", "5"),
        ({"question": "Q?", "solution": "A\n", "answer": "4"}, "Q?", "A\n"),
        ({"question": "Q?", "response": "A\n", "reasoning": "hm"}, "Q?", THOUGHT),
        ({"question": "Q?", "response": "A\n", "reasoning_content": " hm\n"}, "Q?", THOUGHT),
        (chat(said(reasoning_content="hm")), "Q?", THOUGHT),
        (chat(said(reasoning="hm")), "Q?", THOUGHT),
        (chat(said(reasoning="hm", reasoning_content="hm")), "Q?", THOUGHT),
        (chat(said(reasoning=None, reasoning_content="", tool_calls=[])), "Q?", "A\n"),
        ({"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": "A"}],
          "id": 7, "system": ""}, "Q?", "A"),
    ],
)  # fmt: skip
def test_what_is_known_is_read(row: dict[str, Any], question: str, answer: str) -> None:
    found = read(row)
    assert isinstance(found, TrainingExample), found
    assert (found.question, found.answer) == (question, answer)


def test_the_thinking_of_an_earlier_turn_is_kept_too() -> None:
    again = {"role": "user", "content": "And?"}
    found = read(chat(said(reasoning_content="hm"), again, said()))
    assert isinstance(found, TrainingExample)
    assert [turn["content"] for turn in found.messages] == ["Q?", THOUGHT, "And?", "A\n"]


@pytest.mark.parametrize("row", [chat(said()), {"question": "Q?", "answer": "A"}])
def test_a_system_text_of_its_own_stands_first(row: dict[str, Any]) -> None:
    found = read({**row, "system": "Be brief."})
    assert isinstance(found, TrainingExample)
    assert found.messages[0] == {"role": "system", "content": "Be brief."}
    assert found.question == "Q?"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (chat(said(tool_calls=[{"id": 1}])), "turn 2 of `messages`: `tool_calls` of the turn"),
        (chat(said(weight=1)), "--ignore-field weight"),
        (chat(said(name="bob", mood=1)), "--ignore-field name --ignore-field mood"),
        (chat(said(), tools=[{}]), "`tools` of the row would be lost"),
        (chat(said(), images=["x"]), "--ignore-field images"),
        (chat({"role": "tool", "content": "4"}, said()), "turn 2 of `messages`: `role` is 'tool'"),
        (chat(said(content=None)), "`content` is missing"),
        (chat(said(content=[{"type": "text"}])), "`content` is not text"),
        (chat(said(), system=["x"]), "`system` is not text"),
        ({"messages": [{"role": "system", "content": "a"}, *chat(said())["messages"]],
          "system": "b"}, "begins with a system text too"),
        ({"messages": [{"role": "user", "content": "Q?", "reasoning": "r"}, said()]},
         "`reasoning` of the turn"),
        (chat(said(reasoning="a", reasoning_content="b")), "differ: only one can be learnt"),
        (chat(said(reasoning="a", content="<think>b</think>A")), "beside it"),
        (chat(said(reasoning="<think>a</think>")), "beside it"),
        (chat(said(reasoning=["a"])), "`reasoning` is not text"),
        ({"question": "Q?", "answer": "A", "difficulty": 3, "topic": "t"},
         "`difficulty`, `topic` of the row would be lost; if that may be, say --ignore-field"
         " difficulty --ignore-field topic"),
        ({"question": "Q?", "answer": "A", "input": "x"}, "`input` of the row"),
        ({"instruction": "Q?", "output": "A", "history": [["a", "b"]]}, "`history` of the row"),
        ({"instruction": "Add.", "input": 5, "output": "A"}, "`input` is not text"),
        ({"instruction": "Add.", "input": ["2", "3"], "output": "A"}, "`input` is not text"),
        ({"question": "Q?", "response": "4", "answer": "2 + 2 is 4"},
         "`answer` is longer than `response` and would be lost"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_by_its_name(row: dict[str, Any], told: str) -> None:
    found = read(row)
    assert isinstance(found, Bad)
    assert told in found.reason


def test_a_field_that_may_be_lost_is_left_out() -> None:
    row = chat(said(weight=1, reasoning="hm"), topic="t", system="S")
    found = read(row, "weight", "reasoning", "topic", "system")
    assert isinstance(found, TrainingExample)
    assert [turn["content"] for turn in found.messages] == ["Q?", "A\n"]


def test_the_command_names_the_line_and_takes_the_option(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    good = {"question": "Q?", "answer": "A"}
    file = save([good, {**good, "question": "R?", "level": 2}])
    args = ("--source", file, "--strategy", "none", "--out", tmp_path / "d")
    ended = command("sft", "build", *args)
    assert ended.returncode == 2
    assert "line 2: `level` of the row would be lost" in ended.stderr
    ended = command("sft", "build", *args, "--ignore-field", "level")
    assert ended.returncode == 0, ended.stderr
    rows = (tmp_path / "d" / "train.jsonl").read_text().splitlines()
    assert {json.loads(row)["question"] for row in rows} == {"Q?", "R?"}
