"""`its-sft notes`: one call a row, resumable, and no note that holds its question."""

import json
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response

from its import distil, notes
from tests.conftest import command
from tests.scripted import Body, Engine, completion, fails

ROWS = 12


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    solved = [
        {"question": f"Ada has {n} cows and buys {n + 1} more. How many has she?", "answer": "sum"}
        for n in range(20, 20 + ROWS)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in solved))
    return file


def writer(body: Body) -> Response:
    question = body["messages"][-1]["content"].split("\n")[1]
    if "20 cows" in question:
        return JSONResponse(completion(f"How to solve {question}"))
    return JSONResponse(completion(f"How to add cows: count the herd, part {ord(question[8])}."))


def args(rows: Path, out: Path, url: str, *more: object) -> list[object]:
    return ["notes", rows, "--engine", f"{url}/v1", "--model", "w", "--out", out, *more]


def test_one_call_a_row_and_the_strategy_uses_them(
    rows: Path, tmp_path: Path, engine: Engine, engine_url: str
) -> None:
    engine.scripts["w"] = writer
    out = tmp_path / "notes.jsonl"
    ended = command("sft", *args(rows, out, engine_url))
    assert ended.returncode == 0, ended.stderr
    assert f"{ROWS - 1} notes from {ROWS - 1} of {ROWS} rows" in ended.stderr
    assert len([sent for sent in engine.received if "chat" in str(sent)]) >= ROWS
    made = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(made) == ROWS - 1
    assert all(set(row) == {"text", "question"} for row in made)
    assert not out.with_name("notes.jsonl.part").exists()
    before, kept = len(engine.received), out.read_bytes()
    again = command("sft", *args(rows, out, engine_url))
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert (len(engine.received), out.read_bytes()) == (before, kept), "it was paid for"
    how = ("--strategy", "procedures", "--notes", out)
    composed = command("sft", "compose", rows, *how)
    assert "Procedures that solved other problems:" in composed.stdout


def test_stopped_it_goes_on(rows: Path, tmp_path: Path, engine: Engine, engine_url: str) -> None:
    calls = 0

    def half(body: Body) -> Response:
        nonlocal calls
        calls += 1
        return fails(404, {"error": {"message": "gone"}})(body) if calls > 5 else writer(body)

    out = tmp_path / "notes.jsonl"
    engine.scripts["w"] = half
    ended = command("sft", *args(rows, out, engine_url, "--max-concurrency", 1))
    assert ended.returncode == 1
    assert "the same command tries them again" in ended.stderr
    assert not out.exists()
    calls = -100
    before = len(engine.received)
    ended = command("sft", *args(rows, out, engine_url, "--max-concurrency", 1))
    assert ended.returncode == 0, ended.stderr
    asked = [sent for sent in list(engine.received)[before:]]
    assert len(asked) <= ROWS - 5 + 1, "what was paid for is not asked again"
    assert len(out.read_text().splitlines()) == ROWS - 1


def test_a_model_whose_texts_all_break_the_rules(
    rows: Path, tmp_path: Path, engine: Engine, engine_url: str
) -> None:
    """An empty file would be refused where it is used."""
    engine.scripts["w"] = lambda body: JSONResponse(completion("The answer is 7."))
    out = tmp_path / "notes.jsonl"
    for _ in range(2):
        ended = command("sft", *args(rows, out, engine_url))
        assert ended.returncode == 1
        assert f"no text of {ROWS} rows kept to the rules" in ended.stderr
        assert not out.exists()
    assert len(engine.received) <= ROWS + 1, "nor is it asked again"


def test_rows_without_a_solution_are_told_before_the_first_call(
    tmp_path: Path, engine: Engine, engine_url: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "Q?", "answer": "a"}\n{"question": "R?"}\n')
    ended = command("sft", *args(rows, tmp_path / "out", engine_url))
    assert ended.returncode == 2
    assert "line 2: no solution in solution, answer" in ended.stderr
    assert not engine.received


def test_an_engine_that_is_not_there(rows: Path, tmp_path: Path) -> None:
    ended = command("sft", *args(rows, tmp_path / "out", "http://127.0.0.1:9"))
    assert ended.returncode == 1
    assert "cannot be reached" in ended.stderr


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("procedures", "<think>x</think>How to count: add\nthe parts.",
         ["How to count: add the parts."]),
        ("procedures", "- To count:\n1. add the parts.", ["To count: add the parts."]),
        ("procedures", "How to find that it is 37.", []),
        ("procedures", "The answer is what you add.", []),
        ("procedures", "Short.", []),
        ("procedures", "x" * 1_201, []),
        ("concepts", "- Parity: compare odd and even.\nNo.\n2. Sums: pair the ends of a row.",
         ["Parity: compare odd and even.", "Sums: pair the ends of a row."]),
        ("concepts", "Parity helps here.", []),
    ],
)  # fmt: skip
def test_what_is_kept_of_a_reply(kind: str, said: str, expected: list[str]) -> None:
    assert distil.read(distil.KINDS[kind], said, "What is 37 less than?") == expected


def test_a_question_cannot_close_its_tag() -> None:
    shown = distil.messages("concepts", "a </question> b", "c < / solution > d")[-1]["content"]
    assert shown.count("question>") == shown.count("solution>") == 2


def test_a_new_version_begins_with_the_earlier_one(
    rows: Path, tmp_path: Path, engine: Engine, engine_url: str
) -> None:
    """What it has is not asked again; it is a file of its own, and the earlier one stays."""
    engine.scripts["w"] = writer
    lines = rows.read_text().splitlines(keepends=True)
    first, second = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    rows.write_text("".join(lines[:6]))
    assert command("sft", *args(rows, first, engine_url)).returncode == 0
    before, asked = first.read_bytes(), len(engine.bodies("w"))
    same = json.loads(lines[1])
    same["question"] = same["question"].upper()
    rows.write_text("".join([*lines, json.dumps(same) + "\n"]))
    ended = command("sft", *args(rows, second, engine_url, "--add-to", first))
    assert ended.returncode == 0, ended.stderr
    said = " ".join(ended.stderr.split())
    assert "6 notes from 6 of 7 rows; the other rows' texts broke the rules" in said
    assert f"added to the 5 of {first}" in said
    assert len(engine.bodies("w")) - asked == 7, "six are new, and the one whose text broke a rule"
    assert second.read_bytes().startswith(before)
    assert first.read_bytes() == before
    assert notes.load(second).sha256[:12] in said
    assert notes.load(second).sha256 != notes.load(first).sha256
    assert f'personas.notes = "{second.name}"' in said
    rows.write_text("".join(lines[1:]))
    ended = command("sft", *args(rows, tmp_path / "three.jsonl", engine_url, "--add-to", second))
    assert ended.returncode == 0
    assert "Nothing is new" in ended.stderr
    assert not (tmp_path / "three.jsonl").exists()
    assert not (tmp_path / "three.jsonl.part").exists()


def test_examples_are_the_rows_as_they_are(rows: Path, tmp_path: Path) -> None:
    out, more = tmp_path / "examples.jsonl", tmp_path / "more.jsonl"
    rows.write_text(
        '{"question": "2 + 2?", "solution": "So 4."}\n{"problem": "3?", "answer": "3"}\n'
    )
    ended = command("sft", "notes", rows, "--kind", "examples", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"text": "So 4.", "question": "2 + 2?"}, {"text": "3", "question": "3?"},
    ]  # fmt: skip
    rows.write_text('{"question": "2+2", "solution": "4"}\n{"question": "5?", "solution": "5"}\n')
    ended = command("sft", "notes", rows, "--kind", "examples", "--add-to", out, "--out", more)
    assert "1 notes from 1 of 1 rows, added to the 2 of" in " ".join(ended.stderr.split())
    assert len(notes.load(more).notes) == 3


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--kind", "concepts"], "--kind concepts needs --engine URL and --model NAME"),
        (["--kind", "examples", "--model", "m"], "leave out --engine and --model"),
        (["--kind", "examples", "--add-to", "no.jsonl"], "cannot read no.jsonl"),
    ],
)
def test_what_cannot_be_asked_for(rows: Path, tmp_path: Path, more: list[str], told: str) -> None:
    ended = command("sft", "notes", rows, "--out", tmp_path / "out", *more)
    assert ended.returncode == 2
    assert told in " ".join(ended.stderr.split())
    assert not (tmp_path / "out").exists()
