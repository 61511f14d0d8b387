"""Tables of pairs and of replies, by kind: `table_pairs.jsonl` and `table_replies.jsonl`."""

import json
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from its.answers import Comparison, compare, kind_of, read, read_or_parse
from its.answers.algebra.measure import measure

HERE = Path(__file__).parent
MOST_SECONDS = 1.0
"""CPU time of one reading of a megabyte; what is quadratic takes minutes."""


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text("utf-8").splitlines()]


PAIRS = rows("table_pairs.jsonl")
REPLIES = rows("table_replies.jsonl")


@lru_cache(maxsize=1024)
def judge(text: str) -> Any:
    return measure(text)


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in PAIRS}))
def test_pairs(kind: str) -> None:
    wrong = []
    for row in PAIRS:
        if row["kind"] == kind:
            a, b = read_or_parse(row["a"]), read_or_parse(row["b"])
            assert a is not None, row
            assert b is not None, row
            there, back = compare(a, b, judge), compare(b, a, judge)
            assert there is back, row
            if (there is Comparison.EQUAL) is not row["equal"]:
                wrong.append(row)
    assert not wrong


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in REPLIES}))
def test_replies(kind: str) -> None:
    wrong = []
    for row in REPLIES:
        if row["kind"] == kind:
            found = read({"content": row["text"]})
            gold = read_or_parse(row["answer"]) if row["answer"] is not None else None
            if found is None or gold is None:
                right = found is gold
            else:
                right = compare(found, gold, judge) is Comparison.EQUAL
            if not right:
                wrong.append((row, found))
    assert not wrong


@pytest.mark.parametrize(
    "unit",
    [
        *(
            r"\begin{boxed}",
            r"\boxed{",
            "1",
            "٣",
            " ",
            "\r\n",
            "因此",
            "(A) ",
            "A) x ",
            "$ ",
            "x=1, ",
        ),
        *("the answer is ", "<answer>", "</", "**", "<|channel|>a", "```\n", '{"a":', "to 1 "),
    ],
)
def test_a_megabyte_of_anything_is_read_in_linear_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    before = time.thread_time()
    read({"content": text})
    kind_of({"messages": [{"role": "user", "content": text}]})
    assert time.thread_time() - before < MOST_SECONDS
