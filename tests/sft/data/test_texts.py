"""System text and instruction of a data set: in its rows, its record and its card."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from its.prompts import compose
from its.types import Context, Layout, Placement
from sft.commands.options import PlacementOption, contexts_of, with_texts
from sft.data import record as records
from sft.data.build import BuildOptions, build
from sft.data.sets import BOXED, PUBLIC
from sft.data.tokens import Room
from sft.errors import DataError
from tests.conftest import command

SYSTEM, SAY = "Be exact.", "Put it into \\boxed{}."


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made up here must not be remembered as the public sets' content."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def save(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def questions(folder: Path) -> Path:
    return save(folder, [{"question": f"What is {n} + {n}?", "answer": f"{2 * n}"} for n in "246"])


def make(
    source: Path, out: Path, strategy: str = "random", placement: str = "before",
    system: str | None = SYSTEM, instruction: str | None = SAY, where: str = "after",
    **more: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    how = contexts_of(strategy, PlacementOption(placement))
    how = with_texts(how, system, instruction, PlacementOption(where))
    assert build(BuildOptions(source=str(source), **more), how, out)
    return list(read(out / records.ROWS))


def read(file: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, file.read_text("utf-8").splitlines())


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize("where", ["before", "after"])
def test_every_row_has_them_around_its_question(
    tmp_path: Path, placement: Placement, where: Placement
) -> None:
    source = questions(tmp_path)
    bare = {row["question"]: row for row in make(source, tmp_path / "bare", system=None,
                                                 instruction=None)}  # fmt: skip
    rows = make(source, tmp_path / "out", placement=placement, where=where)
    assert [row["question"] for row in rows] == list(bare)
    for row in rows:
        question, persona = row["question"], row["persona"]
        assert persona == bare[question]["persona"], "it is picked for the question alone"
        asked = f"{SAY}\n\n{question}" if where == "before" else f"{question}\n\n{SAY}"
        whole = f"{persona}\n\n{asked}" if placement == "before" else f"{asked}\n\n{persona}"
        assert row["messages"][:-1] == [
            {"role": "system", "content": SYSTEM}, {"role": "user", "content": whole},
        ]  # fmt: skip
        assert row["messages"][-1] == bare[question]["messages"][-1]
    train = records.read(tmp_path / "out").train
    assert (train.system, train.instruction) == (SYSTEM, SAY)
    assert train.instruction_placement == where
    card = (tmp_path / "out" / records.CARD).read_text()
    assert f"| system text of every row | {SYSTEM} |" in card
    assert f"| instruction, {where} every question | {SAY} |" in card


def test_without_them_nothing_is_added(tmp_path: Path) -> None:
    rows = make(questions(tmp_path), tmp_path / "out", "none", system=" ", instruction="")
    assert [row["messages"][0] for row in rows] == [
        {"role": "user", "content": row["question"]} for row in rows
    ]
    train = records.read(tmp_path / "out").train
    assert (train.system, train.instruction) == (None, None)


def test_a_row_that_has_them_gets_them_once(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"system": SYSTEM, "question": f"What is 2 + 2?\n\n{SAY}", "answer": "4"},
        {"question": f"What is 3 + 3? {SAY}", "answer": "6"},
    ]
    for row in make(save(tmp_path, rows), tmp_path / "out", "none"):
        assert row["question"].endswith("?")
        assert [m["content"] for m in row["messages"][:-1]] == [
            SYSTEM, f"{row['question']}\n\n{SAY}",
        ]  # fmt: skip


def test_a_row_with_another_system_text_is_bad(tmp_path: Path) -> None:
    rows = [{"question": "2 + 2?", "answer": "4"},
            {"question": "3 + 3?", "answer": "6", "system": "Be brief."}]  # fmt: skip
    source = save(tmp_path, rows)
    with pytest.raises(DataError, match=r"line 2: has a system text of its own, and --system"):
        make(source, tmp_path / "out")
    assert len(make(source, tmp_path / "skipped", skip_bad=True)) == 1
    kept = make(source, tmp_path / "kept", "none", system=None)
    assert sorted(len(row["messages"]) for row in kept) == [2, 3], "the row keeps its own"


def test_several_turns_have_the_instruction_once(tmp_path: Path) -> None:
    turns = [{"role": role, "content": f"{role} {n}"} for n in "12" for role in
             ("user", "assistant")]  # fmt: skip
    [row] = make(save(tmp_path, [{"messages": turns}]), tmp_path / "out", "none")
    said = [message["content"] for message in row["messages"]]
    assert said == [SYSTEM, f"user 1\n\n{SAY}", "assistant 1", "user 2", "assistant 2"]


def test_limo_has_its_authors_system_text(tmp_path: Path) -> None:
    assert PUBLIC["limo"].system == PUBLIC["limo-v2"].system == BOXED
    assert PUBLIC["limo"].hyperparameters.batch == 32
    assert PUBLIC["limo-v2"].hyperparameters.batch == 64
    source = save(tmp_path, [{"question": "2 + 2?", "solution": "It is\n4", "answer": "4"}])
    how = ("--set", "limo", "--from", source, "--strategy", "none")
    for words, system in (((), BOXED), (("--system", ""), None), (("--system", "A."), "A.")):
        out = tmp_path / f"out-{len(words)}-{system}"
        ended = command("sft", "build", *how, *words, "--out", out)
        assert ended.returncode == 0, ended.stderr
        assert records.read(out).train.system == system
        [row] = read(out / records.ROWS)
        first = row["messages"][0]
        assert first["content"] == (system or "2 + 2?")


class Counter:
    """Counts characters as tokens."""

    def count(self, messages: Any) -> int:
        return sum(len(message["content"]) for message in messages)

    def length(self, text: str) -> int:
        return len(text)


def test_room_counts_them() -> None:
    from sft.data.examples import TrainingExample

    chat = ({"role": "user", "content": "2?"}, {"role": "assistant", "content": "2"})
    layout = Layout(system=SYSTEM, instruction=SAY)
    whole = compose(chat, Context("You.", "", "", None, 0), layout)
    most = Counter().count(whole)
    for limit, fits in ((most, True), (most - 1, False)):
        room = Room(Counter(), limit, ["You."], layout)  # type: ignore[arg-type]
        assert room(TrainingExample(None, chat)) is fits


def test_compose_takes_them_too(tmp_path: Path) -> None:
    how = ("--strategy", "none", "--system", SYSTEM, "--instruction", SAY)
    ended = command("sft", "compose", questions(tmp_path), *how, "--instruction-placement",
                    "before")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    row = json.loads(ended.stdout.splitlines()[0])
    assert [message["content"] for message in row["messages"]] == [
        SYSTEM, f"{SAY}\n\n{row['question']}",
    ]  # fmt: skip
