"""`its-sft diversity`, the options of strategies on the command line, and the build's warning."""

import json
from pathlib import Path

import pytest

from its.notes import load as load_notes
from its.strategies import get
from sft.data import record
from tests.conftest import command


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    asked = [f"A farmer has {n} cows and buys 5 more. How many cows are there?" for n in range(60)]
    file.write_text("".join(json.dumps({"question": q, "answer": "so"}) + "\n" for q in asked))
    return file


def test_the_table_as_json(rows: Path) -> None:
    ended = command("sft", "diversity", rows, "--strategy", "similar", "--strategy", "random",
                    "--json")  # fmt: skip
    told = json.loads(ended.stdout)
    assert list(told["strategies"]) == ["similar", "random", "even"]
    similar, even = told["strategies"]["similar"], told["strategies"]["even"]
    assert similar["rows"] == 60
    assert 1 < similar["effective"] <= similar["distinct"] <= 60
    assert similar["quantitative"] == even["quantitative"] == 1
    assert similar["rank"] > even["rank"]
    assert told["similar_less_even"]["questions"] == 60
    assert told["similar_less_even"]["p"] < 0.001


def test_the_table_for_people(rows: Path) -> None:
    ended = command("sft", "diversity", rows, "--rows", 20)
    assert ended.returncode == 0, ended.stderr
    for said in ("similar", "unsimilar", "random", "even", "effective", "paired over 20 questions"):
        assert said in ended.stdout


def test_written_personas_count_near_duplicates(rows: Path, tmp_path: Path) -> None:
    texts = ["You teach sums to nurses at a small night school."] * 2
    texts += ["You teach sums to nurses at a night school.", "You bake rye bread before dawn."]
    file = tmp_path / "personas.jsonl"
    file.write_text("".join(json.dumps({"persona": text}) + "\n" for text in texts))
    ended = command("sft", "diversity", rows, "--strategy", "random", "--written", file, "--json")
    told = json.loads(ended.stdout)["written"][str(file)]
    assert (told["distinct"], told["without_near_duplicates"]["distinct"]) == (3, 2)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--strategy", "simlar"], "Unknown strategy 'simlar'. Did you mean 'similar'? Available:"),
        (["--strategy", "none"], "the strategy 'none' has no context to measure"),
        (["--strategy", "examples"], "--strategy examples needs --notes FILE"),
    ],
)
def test_what_cannot_be_measured(rows: Path, more: list[str], reason: str) -> None:
    ended = command("sft", "diversity", rows, *more)
    assert ended.returncode == 2
    assert reason in ended.stderr


def test_an_option_is_of_the_strategies_that_have_it(rows: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    lines = [
        {"text": f"To count cows, add {word} herds.", "question": f"{word}?"}
        for word in ("red", "old", "big")
    ]
    notes.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ended = command(
        "sft", "diversity", rows, "--strategy", "noise", "--strategy", "similar",
        "--strategy", "procedures", "--strategy", "concepts", "--notes", notes,
        "--strategy-option", "sentences=1", "--strategy-option", "each=1", "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)["strategies"]
    assert list(told) == ["noise", "similar", "procedures", "concepts", "even"]
    assert told["procedures"]["distinct"] == told["concepts"]["distinct"] == 1


@pytest.mark.parametrize(
    ("strategies", "option", "reason"),
    [
        (["noise", "mixed"], "sentence=1", "Unknown option 'sentence' of the strategies 'noise',"
         " 'mixed'. Did you mean 'sentences'? Available: kind, sentences, split, mix."),
        (["similar"], "each=1", "Unknown option 'each' of the strategy 'similar'. Available: none"),
        ([], "kind=facts", "of the strategies 'similar', 'unsimilar', 'random'. Available: none"),
        (["noise", "similar"], "kind=fact", "Unknown kind 'fact' of the strategy 'noise'"),
    ],
)  # fmt: skip
def test_an_option_that_none_of_them_has(
    rows: Path, strategies: list[str], option: str, reason: str
) -> None:
    named = [word for name in strategies for word in ("--strategy", name)]
    ended = command("sft", "diversity", rows, *named, "--strategy-option", option)
    assert ended.returncode == 2
    assert reason in " ".join(ended.stderr.split())


def test_options_stand_in_the_record(rows: Path, tmp_path: Path) -> None:
    how = ("--strategy", "noise", "--strategy-option", "kind=facts",
           "--strategy-option", "sentences=2", "--strategy-option", "split=heldout")  # fmt: skip
    ended = command("sft", "build", "--source", rows, *how, "--out", tmp_path / "d")
    assert ended.returncode == 0, ended.stderr
    train = record.read(tmp_path / "d").train
    assert train.strategy_options == {"kind": "facts", "sentences": 2, "split": "heldout"}
    assert train.options == get("noise").read({"kind": "facts", "sentences": 2, "split": "heldout"})
    assert train.personas.source == "template"
    assert "option `kind`" in (tmp_path / "d" / "card.md").read_text()
    first = json.loads((tmp_path / "d" / "train.jsonl").read_text().splitlines()[0])
    assert (first["strategy"], first["source"]) == ("noise", "template")


def test_a_list_of_languages_needs_no_json(rows: Path) -> None:
    how = ("--strategy", "language", "--strategy-option", "languages=de,fr")
    ended = command("sft", "compose", rows, *how)
    texts = [json.loads(line)["persona"] for line in ended.stdout.splitlines()]
    assert {text.split()[0] for text in texts} == {"Du", "Tu"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["kinds=facts"], "Unknown option 'kinds' of the strategy 'noise'. Did you mean 'kind'?"),
        (["kind"], "'kind' is not KEY=VALUE"),
        (["kind=fact"], "Unknown kind 'fact' of the strategy 'noise'. Did you mean 'facts'?"),
    ],
)
def test_options_that_cannot_be(rows: Path, options: list[str], reason: str) -> None:
    given = [word for option in options for word in ("--strategy-option", option)]
    ended = command("sft", "compose", rows, "--strategy", "noise", *given)
    assert ended.returncode == 2
    assert reason in ended.stderr


def test_a_build_warns_where_contexts_hardly_vary(rows: Path, tmp_path: Path) -> None:
    bank = tmp_path / "bank.jsonl"
    people = [("You farm.", "farming"), ("You sail.", "seafaring")]
    bank.write_text("".join(json.dumps({"persona": p, "domain": d}) + "\n" for p, d in people))
    how = ("--strategy", "random", "--bank", bank)
    ended = command("sft", "build", "--source", rows, *how, "--out", tmp_path / "d")
    assert ended.returncode == 0, ended.stderr
    train = record.read(tmp_path / "d").train
    assert train.personas.distinct == 2
    assert train.personas.effective
    assert train.personas.effective <= 2
    told = "2 different contexts"
    assert told in ended.stderr
    assert "less than 5%" in ended.stderr
    assert told in (tmp_path / "d" / "card.md").read_text()
    ended = command("sft", "build", "--source", rows, "--strategy", "random",
                    "--out", tmp_path / "e")  # fmt: skip
    assert "different contexts" not in ended.stderr


@pytest.mark.parametrize("strategy", ["retrieved", "procedures", "concepts", "examples"])
def test_a_row_whose_notes_are_all_its_own_says_that_the_bank_served(
    tmp_path: Path, strategy: str
) -> None:
    asked = ["How many cows does Ada own in May?", "How many lamps does Ben own in May?"]
    rows, notes = tmp_path / "rows.jsonl", tmp_path / "notes.jsonl"
    rows.write_text("".join(json.dumps({"question": q, "answer": "so"}) + "\n" for q in asked))
    made = [
        {"text": "Cows: count the cows.", "question": asked[0]},
        {"text": "Zebras: count the stripes.", "question": "Zebras?"},
        {"text": "Lamps: count the lamps that Ben has.", "question": "Which lamps?"},
    ]
    notes.write_text("".join(json.dumps(note) + "\n" for note in made))
    how = ("--strategy", strategy, "--notes", notes)
    ended = command("sft", "build", "--source", rows, *how, "--out", tmp_path / "d")
    assert ended.returncode == 0, ended.stderr
    assert "1 of 2 rows have a persona of the bank" in ended.stderr
    built = map(json.loads, (tmp_path / "d" / "train.jsonl").read_text().splitlines())
    (need,) = get(strategy).needs
    assert {row["question"]: row["source"] for row in built} == {asked[0]: "bank", asked[1]: need}
    train = record.read(tmp_path / "d").train
    assert set(train.personas.source.split(", ")) == {"bank", need}
    assert train.strategy_options[f"{need}_sha256"] == load_notes(notes).sha256
    assert train.personas.bank_sha256
