"""`its-sft build`: the same rows in every variant, answers untouched, whole or not at all."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from its import strategies
from its.notes import Note, Notes
from its.personas import bank
from its.types import Layout, Placement
from sft.data import record as records
from sft.data.build import BuildOptions, build
from sft.data.compose import ContextOptions
from sft.data.decontaminate import TestQuestions
from sft.data.examples import Columns, TrainingExample
from sft.data.raw import Bad
from sft.data.sets import SETS, SOURCES
from sft.errors import DataError
from tests.conftest import ROOT, command
from tests.scripted import Engine, Waiting, fails
from tests.sft.writing.test_personas import writer

NOTES = Notes.of([Note("Draw it."), Note("Count it twice.")], "n" * 64)
BOX = "**Final Answer**\n\\boxed{4}"


def thoughts(number: int, **changes: Any) -> dict[str, Any]:
    """A row as OpenThoughts has it."""
    return {
        "problem": f"Find the number {number} of {{brace}} $\\frac{{1}}{{2}}$.",
        "deepseek_reasoning": f"Let me see: {number}.",
        "deepseek_solution": f"It is {number}. {BOX}",
        "domain": "math",
        "test_cases": "x",
        **changes,
    }


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made up here must not be remembered as the public sets' content."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def saved(rows: list[Any], name: str = "rows.jsonl") -> Path:
        file = tmp_path / name
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        file.write_text("\n".join(lines) + "\n", "utf-8", errors="surrogateescape")
        return file

    return saved


def asked(**changes: Any) -> BuildOptions:
    return BuildOptions(**changes)


def contexts(strategy: str, seed: int = 0, placement: Placement = "before") -> ContextOptions:
    shelf = strategies.Shelf(bank.load(), NOTES, NOTES, NOTES)
    return ContextOptions(strategy, Layout(placement), seed, shelf)


def make(
    out: Path, what: BuildOptions, strategy: str = "random", **how: Any
) -> list[dict[str, Any]]:
    assert build(what, contexts(strategy, **how), out)
    return read(out / records.ROWS)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("placement", ["before", "after"])
def test_variants_are_the_same_rows_and_only_the_question_differs(
    save: Callable[..., Path], tmp_path: Path, placement: Placement
) -> None:
    source = {row["problem"]: row for row in map(thoughts, range(60))}
    file = save(list(source.values()))
    order = None
    for strategy in strategies.STRATEGIES:
        what = asked(set="ot-1k", path=file, rows=40)
        rows = make(tmp_path / strategy, what, strategy, placement=placement)
        order = order or [row["id"] for row in rows]
        assert [row["id"] for row in rows] == order
        for row in rows:
            user, assistant = row["messages"]
            bare = user["content"]
            if row["persona"]:
                parts = (
                    (row["persona"], "\n\n") if placement == "before" else ("\n\n", row["persona"])
                )
                cut = str.removeprefix if placement == "before" else str.removesuffix
                bare = cut(bare, "".join(parts))
            assert bare == row["question"]
            raw = source[bare]
            thinking = f"<think>\n{raw['deepseek_reasoning']}\n</think>\n\n"
            assert assistant["content"] == thinking + raw["deepseek_solution"]
            assert (row["persona"] is None) == (strategy == "none")
            assert row["strategy"] == strategy


def test_two_builds_are_the_same_bytes(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save([thoughts(i) for i in range(30)])
    for name in ("a", "b"):
        args = ("--set", "ot-1k", "--from", file, "--rows", 20, "--strategy", "mixed")
        ended = command("sft", "build", *args, "--out", tmp_path / name)
        assert ended.returncode == 0, ended.stderr
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["card.md", "contaminated.jsonl", "dataset.json", "train.jsonl"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_the_small_set_is_the_head_of_the_large_one(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [thoughts(i) for i in range(50)]
    small = make(tmp_path / "s", asked(set="ot-1k", path=save(rows), rows=10))
    turned = save(rows[::-1], "turned.jsonl")
    large = make(tmp_path / "l", asked(set="ot-15k", path=turned, rows=30))
    questions = [row["question"] for row in large]
    assert [row["question"] for row in small] == questions[:10]
    other = make(tmp_path / "o", asked(set="ot-1k", path=turned, rows=10), seed=1)
    assert [row["question"] for row in other] != questions[:10]


def test_the_paper_s_sets_take_mathematics_with_a_boxed_final_answer(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [
        *map(thoughts, range(5)),
        thoughts(90, domain="code"),
        thoughts(91, deepseek_solution="\\boxed{1}"),
        thoughts(92, deepseek_solution="The final answer is 1."),
    ]
    kept = make(tmp_path / "d", asked(set="ot-1k", path=save(rows), rows=5), "none")
    assert len(kept) == 5
    counts = records.read(tmp_path / "d").counts
    assert counts == {
        "read": 8, "of another domain": 1, "left out by final-answer": 1, "left out by boxed": 1,
        "kept": 5,
    }  # fmt: skip
    assert (SETS["ot-1k"].rows, SETS["ot-15k"].rows) == (1_000, 15_000)
    assert (SOURCES["limo"].rows, SOURCES["limo-v2"].rows) == (817, 800)


def test_a_copy_of_the_hub_s_repository_is_the_same_set(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    from datasets import Dataset

    rows = [thoughts(i) for i in range(20)]
    copy = tmp_path / "OpenThoughts-114k"
    (copy / "metadata").mkdir(parents=True)
    Dataset.from_list(rows).to_parquet(copy / "metadata" / "train-0.parquet")
    (copy / "README.md").write_text(
        "---\nconfigs:\n- config_name: metadata\n  data_files:\n"
        "  - split: train\n    path: metadata/train-*\n---\n"
    )
    make(tmp_path / "a", asked(set="ot-1k", path=copy, rows=9))
    make(tmp_path / "b", asked(set="ot-1k", path=save(rows), rows=9))
    files = [(tmp_path / name / "train.jsonl").read_bytes() for name in "ab"]
    assert files[0] == files[1]
    assert records.read(tmp_path / "a").sources == records.read(tmp_path / "b").sources


@pytest.mark.parametrize(
    ("source", "row", "question", "answer"),
    [
        (
            "gsm8k",
            {"question": "Q?", "answer": "3*2=<<3*2=6>>6 and $<<1+1=2>>2\n#### 1,006"},
            "Q?",
            "3*2=6 and $2\n\\boxed{1,006}",
        ),
        (
            "open-thoughts",
            {"problem": "P?", "deepseek_reasoning": "\nhm\n", "deepseek_solution": " so \n"},
            "P?",
            "<think>\nhm\n</think>\n\n so \n",
        ),
        (
            "s1k",
            {
                "question": "Q?",
                "deepseek_thinking_trajectory": "hm",
                "deepseek_attempt": "a",
                "solution": "no",
            },
            "Q?",
            "<think>\nhm\n</think>\n\na",
        ),
        ("limo", {"question": "Q?", "solution": "long\n", "answer": "4"}, "Q?", "long\n"),
    ],
)
def test_public_rows_are_read(source: str, row: Any, question: str, answer: str) -> None:
    example = SOURCES[source].shape(row)
    assert isinstance(example, TrainingExample)
    assert (example.question, example.answer) == (question, answer)


@pytest.mark.parametrize(
    ("row", "more", "answer"),
    [
        ({"question": "Q {x}?", "solution": "s", "answer": "4"}, {}, "s"),
        ({"problem": "Q {x}?", "answer": "4"}, {}, "4"),
        ({"instruction": "Q {x}?", "output": "o"}, {}, "o"),
        ({"q": "Q {x}?", "a": "b"}, {"question": "q", "answer": "a"}, "b"),
        (
            {"q": "Q {x}?", "a": "b", "t": "hm"},
            {"question": "q", "answer": "a", "thinking": "t"},
            "<think>\nhm\n</think>\n\nb",
        ),
        (
            {"conversations": [
                {"from": "system", "value": "Be brief."}, {"from": "human", "value": "Q {x}?"},
                {"from": "gpt", "value": "g"},
            ]},
            {}, "g",
        ),
        (
            {"messages": [
                {"role": "user", "content": "Q {x}?"}, {"role": "assistant", "content": "1"},
                {"role": "user", "content": "And?"}, {"role": "assistant", "content": "m\n"},
            ]},
            {}, "m\n",
        ),
    ],
)  # fmt: skip
def test_files_are_recognised(
    save: Callable[..., Path], tmp_path: Path, row: Any, more: dict[str, str], answer: str
) -> None:
    what = asked(source=str(save([row])), columns=Columns(**more))
    (found,) = make(tmp_path / "d", what)
    asked_ = next(m["content"] for m in found["messages"] if m["role"] == "user")
    assert asked_ == f"{found['persona']}\n\nQ {{x}}?"
    assert found["messages"][-1] == {"role": "assistant", "content": answer}
    assert found["question"] == "Q {x}?"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"question": "Q?", "ans', "line 3: not JSON"),
        ("[1]", "line 3: not a JSON object"),
        ({"question": "Q?"}, "line 3: `solution` is missing"),
        ({"question": "Q?", "solution": None}, "line 3: `solution` is not text"),
        ({"question": "Q?", "solution": "  "}, "line 3: `solution` is empty"),
        ({"question": "", "solution": "s"}, "line 3: `question` is empty"),
        ('{"question": "\\ud800", "solution": "s"}', "line 3: not JSON"),
        ('{"question": "caf\udce9", "solution": "s"}', "line 3: not JSON"),  # a byte of Latin-1
    ],
)
def test_a_bad_row_is_named_or_skipped(
    save: Callable[..., Path], tmp_path: Path, row: Any, reason: str
) -> None:
    good = {"question": "Q?", "solution": "s"}
    file = save([good, "", row, {**good, "question": "R?"}])
    with pytest.raises(DataError, match="--skip-bad") as raised:
        make(tmp_path / "d", asked(source=str(file)))
    assert reason in str(raised.value)
    assert not (tmp_path / "d").exists()
    assert len(make(tmp_path / "d", asked(source=str(file), skip_bad=True))) == 2
    assert records.read(tmp_path / "d").counts["bad"] == 1


def test_a_bad_first_row_does_not_decide_the_columns(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    good = {"q": "Q?", "solution": "s"}
    file = save([{"q": "Q?", "solution": None}, good, {**good, "q": "R?"}])
    what = asked(source=str(file), columns=Columns(question="q"), skip_bad=True)
    assert len(make(tmp_path / "d", what)) == 2


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--source", "none.jsonl"], "--source none.jsonl: no such file; the public ones are"),
        ([], "give one of --set NAME and --source NAME|FILE"),
        (["--set", "limo", "--source", "limo"], "give one of"),
        (["--source", "{file}", "--rows", "9"], "rows needs 9 rows and 2 are left (2 read)"),
        (["--source", "{file}", "--filter", "boxed"], "2 left out by boxed"),
        (["--source", "{odd}"], "line 1: its columns are text, kind, which is no shape that is"),
        (["--source", "{file}", "--decontaminate", "{odd}"], "odd.jsonl, line 1: no `problem`"),
        (["--source", "{file}", "--decontaminate", "no.jsonl"], "cannot read no.jsonl"),
        (["--source", "{file}", "--personas", "no.jsonl"], "cannot read no.jsonl"),
        (["--source", "{file}", "--personas", "generate"], "needs --engine URL and --model NAME"),
        (["--set", "gsm8k-1k", "--from", "{file}"], "`answer` is missing"),
        (["--source", "{file}", "--tokenizer", "/no/where"], "--tokenizer /no/where"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    save: Callable[..., Path], tmp_path: Path, args: list[str], told: str
) -> None:
    names = {
        "file": save([{"question": f"Q{i}?", "solution": "s"} for i in range(2)]),
        "odd": save([{"text": "t", "kind": 1}], "odd.jsonl"),
    }
    filled = [arg.format(**names) for arg in args]
    out = tmp_path / "d"
    ended = command("sft", "build", *filled, "--strategy", "random", "--out", out)
    assert ended.returncode == 2
    said = [line for line in ended.stderr.splitlines() if line.startswith("its-sft:")]
    assert told in said[-1], ended.stderr
    assert "Traceback" not in ended.stderr
    assert not out.exists()


def test_test_questions_are_left_out_row_by_row(save: Callable[..., Path], tmp_path: Path) -> None:
    words = "one two three four five six seven eight nine ten eleven twelve thirteen"
    tests = save(
        [{"id": "a", "problem": "What, is 2+2?"}, {"id": "b", "problem": f"Say: {words}!"}],
        "aime.jsonl",
    )
    rows = [
        {"question": "WHAT is  2 + 2", "solution": "s"},
        {"question": f"Now {words.upper()} and more.", "solution": "s"},
        {"question": f"Now {words.replace('seven', '7')} and more.", "solution": "s"},
        {"question": "What is 2+3?", "solution": "s"},
    ]
    kept = make(tmp_path / "d", asked(source=str(save(rows)), decontaminate=(tests,)), "none")
    assert {row["question"] for row in kept} == {rows[2]["question"], rows[3]["question"]}
    found = read(tmp_path / "d" / "contaminated.jsonl")
    assert [(row["id"], row["kind"], row["file"]) for row in found] == [
        ("a", "exact", "aime.jsonl"),
        ("b", "13-gram", "aime.jsonl"),
    ]
    assert found[0]["row"].endswith("rows.jsonl, line 1")
    (record,) = records.read(tmp_path / "d").decontaminated or []
    assert (record.name, record.rows, len(record.sha256)) == ("aime.jsonl", 2, 64)
    assert "Compared with aime.jsonl (2 rows)" in (tmp_path / "d" / "card.md").read_text()


def test_a_short_test_question_is_found_whole_in_a_longer_one(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    tests = save(
        [{"id": "a", "problem": "Compute the remainder of 2^100 mod 7."},
         {"id": "b", "problem": "What is it?"}],
        "aime.jsonl",
    )  # fmt: skip
    told = "\n\nReason step by step."
    chat = [("Hi", "Hello"), ("Compute the remainder of 2^100 mod 7." + told, "2")]
    turns = [
        {"role": role, "content": text}
        for pair in chat
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    rows = [
        {"messages": turns},
        {"messages": [{"role": "user", "content": "What is it? A cow." + told}, turns[-1]]},
    ]
    kept = make(tmp_path / "d", asked(source=str(save(rows)), decontaminate=(tests,)), "none")
    assert [row["messages"][0]["content"] for row in kept] == ["What is it? A cow." + told]
    (found,) = read(tmp_path / "d" / "contaminated.jsonl")
    assert (found["id"], found["kind"]) == ("a", "8-gram"), "in a later turn, too"


def test_a_short_training_question_is_found_whole_in_a_longer_test_question(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    short = "Compute the remainder of 2^100 mod 7."
    tests = save(
        [{"id": "a", "problem": f"Let n be a natural number. {short} Then what is 2+2 of it?"}],
        "aime.jsonl",
    )
    rows = [
        {"question": text, "solution": "s"}
        for text in (short, "What is 2+2?", "Compute the remainder of 2^100 mod 70.")
    ]
    kept = make(tmp_path / "d", asked(source=str(save(rows)), decontaminate=(tests,)), "none")
    assert {row["question"] for row in kept} == {rows[1]["question"], rows[2]["question"]}
    (found,) = read(tmp_path / "d" / "contaminated.jsonl")
    assert (found["id"], found["kind"]) == ("a", "8-gram")


def test_without_test_questions_the_card_says_so(save: Callable[..., Path], tmp_path: Path) -> None:
    make(tmp_path / "d", asked(source=str(save([{"question": "Q?", "solution": "s"}]))))
    card = (tmp_path / "d" / "card.md").read_text()
    assert "**Not decontaminated**" in card
    assert "Tokens were not counted" in card
    assert TestQuestions([]).overlap("Q?") is None


def test_the_record_is_the_manifest_s_train_part(save: Callable[..., Path], tmp_path: Path) -> None:
    import hashlib

    rows = [{"question": f"Q{i}?", "solution": "s"} for i in range(4)]
    make(tmp_path / "d", asked(source=str(save(rows))), "similar", seed=5, placement="after")
    record = records.read(tmp_path / "d")
    train = record.train
    assert (train.strategy, train.placement, train.seed) == ("similar", "after", 5)
    assert train.personas.bank_sha256 == bank.load().sha256
    assert train.dataset
    data = (tmp_path / "d" / "train.jsonl").read_bytes()
    assert train.dataset.sha256 == hashlib.sha256(data).hexdigest()
    assert (train.dataset.rows, record.sources[0].rows) == (4, 4)
    make(tmp_path / "n", asked(source=str(save(rows))), "retrieved")
    assert records.read(tmp_path / "n").train.strategy_options == {
        "each": 1,
        "longest": None,
        "notes_sha256": NOTES.sha256,
    }


def test_a_public_set_that_changed_is_named(save: Callable[..., Path], tmp_path: Path) -> None:
    for rows, changed in ((3, False), (3, False), (4, True)):
        file = save([thoughts(i) for i in range(rows)])
        args = ("--set", "ot-1k", "--from", file, "--rows", 2, "--strategy", "none")
        ended = command("sft", "build", *args, "--out", tmp_path / "d")
        assert ended.returncode == 0, ended.stderr
        assert ("has other content than when it was first read" in ended.stderr) == changed


def test_killed_it_leaves_no_half_set(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save([{"question": f"Q{i}?", "solution": "s" * 300} for i in range(6_000)])
    out = tmp_path / "d"
    args = ["build", "--source", file, "--strategy", "similar", "--out", out]
    line = [sys.executable, "-m", "sft", *map(str, args)]
    running = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.DEVNULL)
    rows = tmp_path / "d.part" / "train.jsonl"
    while not rows.exists() or rows.stat().st_size == 0:
        assert running.poll() is None
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    assert not out.exists()
    ended = command("sft", *args)
    assert ended.returncode == 0, ended.stderr
    assert len(read(out / "train.jsonl")) == 6_000
    assert not (tmp_path / "d.part").exists()


def test_a_folder_that_is_not_ours_is_left_alone(save: Callable[..., Path], tmp_path: Path) -> None:
    what = asked(source=str(save([{"question": "Q?", "solution": "s"}])))
    out = tmp_path / "d"
    out.mkdir()
    (out / "precious").write_text("x")
    with pytest.raises(DataError, match="is no built data set"):
        make(out, what)
    assert (out / "precious").read_text() == "x"
    (out / "precious").unlink()
    out.rmdir()
    make(out, what, "random")
    make(out, what, "similar")
    assert records.read(out).train.strategy == "similar"
    assert not list(tmp_path.glob(".d*"))
    (out / "notes").mkdir()
    with pytest.raises(DataError, match="d holds notes, which no build makes"):
        make(out, what, "random")
    assert records.read(out).train.strategy == "similar"
    (out / "notes").rmdir()
    (tmp_path / "e.part").mkdir()
    (tmp_path / "e.part" / "precious").write_text("x")
    with pytest.raises(DataError, match=r"e\.part holds precious"):
        make(tmp_path / "e", what)
    assert (tmp_path / "e.part" / "precious").read_text() == "x"


@pytest.mark.parametrize("mark", [b"another", None])
def test_a_killed_build_does_not_block_a_corrected_one(
    save: Callable[..., Path], tmp_path: Path, mark: bytes | None
) -> None:
    part = tmp_path / "e.part"
    part.mkdir()
    (part / "train.jsonl").write_text("half")
    if mark is not None:
        (part / "build").write_bytes(mark)
    make(tmp_path / "e", asked(source=str(save([{"question": "Q?", "solution": "s"}]))))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e", "rows.jsonl"]


def test_a_refused_build_leaves_nothing(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save([{"question": "Q?", "solution": "s"}, {"question": "R?", "difficulty": 3}])
    personas = save([], "none.jsonl")
    personas.write_text("")
    for args, told in (
        (("--source", file), "--ignore-field difficulty"),
        (("--source", file, "--rows", 9, "--skip-bad"), "needs 9 rows"),
        (("--source", file, "--skip-bad", "--personas", personas), "no persona was written"),
    ):
        ended = command("sft", "build", *args, "--strategy", "random", "--out", tmp_path / "d")
        assert ended.returncode == 2
        assert told in ended.stderr
        assert {path.name for path in tmp_path.iterdir()} <= {"rows.jsonl", "none.jsonl", "cache"}


def test_two_builds_of_one_folder_do_not_meet(save: Callable[..., Path], tmp_path: Path) -> None:
    from filelock import FileLock

    with FileLock(tmp_path / ".d.lock"), pytest.raises(DataError, match="another build is at"):
        make(tmp_path / "d", asked(source=str(save([{"question": "Q?", "solution": "s"}]))))


def test_what_is_put_beside_a_set_while_it_is_built_anew_is_kept(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "d"
    make(out, asked(source=str(save([{"question": "Q?", "solution": "s"}]))))
    shutil.copytree(out, records.part_of(out))
    (out / "precious").write_text("x")
    with pytest.raises(DataError, match="what else lay there is now in") as raised:
        records.publish(records.part_of(out), out)
    assert (Path(str(raised.value).split()[-1]) / "precious").read_text() == "x"
    assert records.is_ours(out)


def test_a_model_writes_the_personas_and_a_kill_loses_none(
    save: Callable[..., Path], tmp_path: Path, engine: Engine, engine_url: str
) -> None:
    rows = 30
    file = save([{"question": f"What is {i}?", "solution": "s"} for i in range(rows)])
    out = tmp_path / "d"
    how = ("--personas", "generate", "--engine", f"{engine_url}/v1", "--model", "w")
    args = ["build", "--source", file, "--strategy", "random", "--out", out, *how]
    engine.scripts["w"] = lambda body: Waiting(0.1, writer(body))
    engine.scripts["v"] = fails(400)
    line = [sys.executable, "-m", "sft", *map(str, args)]
    running = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.DEVNULL)
    journal = tmp_path / "d.part" / "personas.jsonl.part"
    while not journal.exists() or len(journal.read_bytes().splitlines()) < 8:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    shutil.copy(tmp_path / "d.part" / "build", tmp_path / "mark")
    kept = len(journal.read_bytes().splitlines()) - 1
    ended = command("sft", *args)
    assert ended.returncode == 0, ended.stderr
    assert f"going on after {kept} of {rows} rows" in ended.stderr
    found = read(out / "train.jsonl")
    assert all(row["persona"].startswith(f"You live for {row['domain']}") for row in found)
    paid = tmp_path / "d.part"
    paid.mkdir()
    shutil.copy(out / "personas.jsonl", paid)
    shutil.copy(tmp_path / "mark", paid / "build")
    other = command("sft", *(arg if arg != "w" else "v" for arg in args))
    assert "put aside" in other.stderr, "by another model"
    aside = tmp_path / "d.part.1"
    assert (aside / "personas.jsonl").exists()
    assert not paid.exists() or not (paid / "personas.jsonl").exists()
    shutil.rmtree(aside)
    shutil.rmtree(paid, ignore_errors=True)
    personas = records.read(out).train.personas
    assert (personas.source, personas.model) == ("generate", "w")
    assert personas.prompt_sha256

    again = tmp_path / "again"
    use = ["build", "--source", file, "--strategy", "random", "--rows", 10, "--out", again]
    asked_before = len(engine.received)
    ended = command("sft", *use, "--personas", out / "personas.jsonl")
    assert ended.returncode == 0, ended.stderr
    assert read(again / "train.jsonl") == found[:10]
    assert len(engine.received) == asked_before


def test_bad_public_rows_say_what_was_expected() -> None:
    found = SOURCES["gsm8k"].shape({"question": "Q?", "answer": "no mark"})
    assert isinstance(found, Bad)
    assert "`#### N`" in found.reason
