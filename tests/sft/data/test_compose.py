"""Training rows carry the same prompt that serving composes."""

import json
from pathlib import Path

import httpx
import pytest

from its import prompts, strategies
from its.personas import bank
from its.types import Layout, Placement
from sft.rows import MEMBER
from tests.conftest import MEMBERS, Proxy, command

QUESTION = "How many are 3 and 4? \\boxed{}"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"id": 1, "problem": QUESTION, "answer": "7"}) + "\n")
    return file


@pytest.mark.parametrize("placement", ["before", "after"])
def test_rows_get_their_context(rows: Path, placement: Placement) -> None:
    args = ("compose", rows, "--strategy", "random", "--placement", placement, "--seed", 3)
    ended = command("sft", *args)
    assert ended.returncode == 0, ended.stderr
    row = json.loads(ended.stdout)
    shelf = strategies.Shelf(bank.load())
    pick = strategies.choose("random", QUESTION, shelf=shelf, seed=3, member=MEMBER)
    assert pick
    asked = [{"role": "user", "content": QUESTION}]
    assert row["messages"] == prompts.compose(asked, pick.context(3), Layout(placement))
    assert (row["id"], row["answer"], row["persona"]) == (1, "7", pick.text)


def test_what_training_sees_is_what_the_proxy_sends(proxy: httpx.Client, rows: Path) -> None:
    row = json.loads(command("sft", "compose", rows, "--strategy", "similar").stdout)
    body = {
        "model": "s",
        "messages": [{"role": "user", "content": QUESTION}],
        "input_time": {"persona": row["persona"]},
    }
    composed = proxy.post("/v1/input_time/compose", json=body).json()
    assert composed["messages"] == row["messages"]


def test_none_is_the_identity(rows: Path) -> None:
    row = json.loads(command("sft", "compose", rows, "--strategy", "none").stdout)
    assert row["messages"] == [{"role": "user", "content": QUESTION}]
    assert row["persona"] is None


def test_a_mix_and_notes_train_as_they_serve(tmp_path: Path) -> None:
    rows, notes = tmp_path / "rows.jsonl", tmp_path / "notes.jsonl"
    rows.write_text(
        "".join(json.dumps({"problem": f"Draw or count {i}?"}) + "\n" for i in range(40))
    )
    notes.write_text('{"text": "Draw it."}\n{"text": "Count it."}\n')
    how = ("--strategy", "mixed", "--mix", "similar=1,random=1")
    mixed = command("sft", "compose", rows, *how).stdout.splitlines()
    drawn = [json.loads(line)["drawn"] for line in mixed]
    assert set(drawn) == {"similar", "random"}
    assert 8 <= drawn.count("random") <= 32
    how = ("--strategy", "retrieved", "--notes", str(notes))
    retrieved = command("sft", "compose", rows, *how).stdout.splitlines()
    assert {json.loads(line)["persona"] for line in retrieved} == {"Draw it."}


@pytest.mark.parametrize("strategy", ["similar", "unsimilar", "random"])
def test_a_bank_of_ones_own_trains_as_it_serves(
    start: Proxy, rows: Path, tmp_path: Path, strategy: str
) -> None:
    own = [f'{{"persona": "You keep {n} bees.", "domain": "{"xyz"[n % 3]}"}}\n' for n in range(9)]
    (tmp_path / "own.jsonl").write_text("".join(own))
    how = ("--strategy", strategy, "--bank", tmp_path / "own.jsonl")
    row = json.loads(command("sft", "compose", rows, *how).stdout)
    assert row["persona"].endswith(" bees.")
    served = start(MEMBERS + '[personas]\nbank = "own.jsonl"\n')
    body = {"model": strategy[0], "messages": [{"role": "user", "content": QUESTION}]}
    composed = served.post("/v1/input_time/compose", json=body).json()
    assert composed["input_time"]["persona"].endswith(" bees.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "line 1: not JSON"), ("[]", "line 1: not an object"), ('{"q": 1}', "line 1: neither")],
)
def test_bad_rows(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    ended = command("sft", "compose", file, "--strategy", "none")
    assert ended.returncode == 2
    assert f"{file}: {reason}" in ended.stderr


def test_a_missing_file(tmp_path: Path) -> None:
    ended = command("sft", "compose", tmp_path / "no.jsonl", "--strategy", "none")
    assert ended.returncode == 2
    assert "cannot read" in ended.stderr
