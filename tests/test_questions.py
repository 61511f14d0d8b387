"""Plain questions to a real small model: the panel votes as a person who reads the replies would.

Behind ITS_DOWNLOAD=1: the model is half a gigabyte. `ITS_WRITE=1` writes docs/questions.md anew.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, process
from tests.proxy.asking import serving

pytestmark = [pytest.mark.engine, pytest.mark.download]
MODEL = "qwen2.5-coder-0.5b"
PAGE = ROOT / "docs" / "questions.md"
CONFIG = """
[engines.cpu]
embedded = "{file}"
[members.s]
engine = "cpu"
model = "{name}"
strategy = "similar"
[members.u]
engine = "cpu"
model = "{name}"
strategy = "unsimilar"
[members.r]
engine = "cpu"
model = "{name}"
strategy = "random"
[panels.vote3]
members = ["s", "u", "r"]
early_stop = false
"""

Person = Callable[[str], Any]


def word(*words: str) -> Person:
    """A person who looks for one of some words; the last one that is there counts."""

    def read(text: str) -> str | None:
        found = re.findall(r"\b(?:" + "|".join(words) + r")\b", text, re.IGNORECASE)
        return found[-1].lower() if found else None

    return read


def last_number(text: str) -> str | None:
    found = re.findall(r"\d+", text)
    return found[-1] if found else None


def as_json(text: str) -> Any:
    found = re.search(r"\{.*\}", text, re.DOTALL)
    return json.dumps(json.loads(found[0]), sort_keys=True) if found else None


@dataclass(frozen=True)
class Question:
    text: str
    read: Person
    more: dict[str, Any] = field(default_factory=dict)


ITEM = {
    "type": "object",
    "properties": {"item": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["item", "count"],
    "additionalProperties": False,
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "order", "schema": ITEM}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
QUESTIONS = [
    Question("What is the capital of Japan? One word.", word("tokyo", "kyoto", "osaka", "japan")),
    Question("What is 12 + 30? Reply with the number only.", last_number),
    Question("Is 7 a prime number? Answer yes or no.", word("yes", "no")),
    Question(
        "Which planet is the largest?\nA) Mars\nB) Jupiter\nC) Venus\nAnswer with the letter.",
        word("A", "B", "C"),
    ),
    Question("How many legs does a spider have?", word("eight", "8", "six", "6", "four", "4")),
    Question(
        "Is this review positive or negative? 'I loved it.' One word.", word("positive", "negative")
    ),
    Question(
        "Order: three apples. Give the item and the count.", as_json, {"response_format": SCHEMA}
    ),
    Question(
        "What is the weather in Paris?",
        lambda text: None,  # so small a model makes no call, and writes until it is cut: no answer
        {"tools": [WEATHER], "tool_choice": "required"},
    ),
    Question("Say hello to a new colleague in one sentence.", lambda text: None),
]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    found = process("proxy", "model", MODEL, timeout=900)
    assert found.returncode == 0, found.stderr
    config = tmp_path_factory.mktemp("questions") / "panels.toml"
    config.write_text(CONFIG.format(file=Path(found.stdout.strip()), name=MODEL), "utf-8")
    with serving(config) as (_, url), httpx.Client(timeout=300, trust_env=False) as client:
        client.base_url = httpx.URL(url)
        yield client


def said(ballot: dict[str, Any]) -> str:
    return ballot["content"] or ballot["answer"] or ""


def ask(proxy: httpx.Client, question: Question) -> dict[str, Any]:
    sent = {
        "model": "vote3",
        "messages": [{"role": "user", "content": question.text}],
        "temperature": 0,
        "max_tokens": 200,
        "input_time": {"return_ballots": True},
        **question.more,
    }
    answer = proxy.post("chat/completions", json=sent)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["input_time"]
    return told


def test_the_panel_votes_as_a_person_would(proxy: httpx.Client) -> None:
    rows, missed = [], []
    for question in QUESTIONS:
        told = ask(proxy, question)
        read = [question.read(said(ballot)) for ballot in told["ballots"]]
        counts = Counter(answer for answer in read if answer is not None)
        largest = max(counts.values(), default=0)
        alone = sum(count == largest for count in counts.values()) == 1
        votes = told["votes"][0]["votes"] if told["votes"] else 0
        if (votes, told["decided"]) != (largest, largest > 1 and alone):
            missed.append(
                (question.text, [said(ballot) for ballot in told["ballots"]], told["votes"])
            )
        rows.append(row(question, told))
    if os.environ.get("ITS_WRITE"):
        PAGE.write_text(HEAD + "".join(rows) + FOOT, "utf-8")
    assert missed == []


HEAD = """# Nine plain questions

What a panel of three makes of everyday questions. The model is Qwen2.5-Coder-0.5B on a CPU, not
trained with contexts, asked by three members (`similar`, `unsimilar`, `random`) at temperature 0.
The replies are as they came: `ITS_DOWNLOAD=1 ITS_WRITE=1 make test ARGS=tests/test_questions.py`
asks again and writes this page.

| question | replies | votes | decided |
|---|---|---|---|
"""
FOOT = """
A reply states an answer or abstains ([how replies are read](answers.md)). If fewer than two replies
agree, the panel says `decided: false`: it returns the first of the replies with the most votes, or,
if none states an answer (a greeting), the first reply in configured order.
"""


def row(question: Question, told: dict[str, Any]) -> str:
    kind = " (JSON schema)" if "response_format" in question.more else ""
    kind = " (tool `weather`)" if "tools" in question.more else kind
    replies = "<br>".join(cell(said(ballot)) for ballot in told["ballots"])
    votes = "<br>".join(f"{cell(vote['answer'])}: {vote['votes']}" for vote in told["votes"])
    return f"| {cell(question.text)}{kind} | {replies} | {votes or 'none'} | {told['decided']} |\n"


def cell(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) < 120 else text[:117] + "..."
