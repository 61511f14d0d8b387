"""The strategies that are no personas of the bank: what stands in their contexts."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from its.notes import Note, Notes
from its.overlap import Asked
from its.personas.bank import load
from its.personas.conditions import numbers
from its.strategies import Pick, Shelf, choose, get, noise
from its.strategies.conditions import DRAWING, extract
from sft.data.decontaminate import TestQuestions

BANK = load()
COWS = "A farmer has 12 cows and buys 5 more at the fair on Monday. How many cows does he have?"
RETRIEVING = ("retrieved", "procedures", "concepts", "examples")


def picked(strategy: str, question: str, notes: Notes, **options: object) -> Pick:
    shelf = Shelf(BANK, notes=notes, examples=notes, concepts=notes)
    pick = choose(strategy, question, shelf=shelf, seed=0, member="m", options=options)
    assert pick is not None
    return pick


@pytest.mark.parametrize("strategy", RETRIEVING)
@pytest.mark.parametrize(
    "own",
    [
        COWS,
        COWS.lower().replace("?", ""),
        f"{COWS}\n\nPut the final answer into a box.",
        "A farmer has 12 cows and buys 5 more at the fair on Monday. What are they worth?",
    ],
)
def test_nothing_of_the_question_or_a_near_duplicate_stands_in_its_context(
    strategy: str, own: str
) -> None:
    notes = Notes.of([Note("Add the cows: 17 in all.", own), Note("Add cows that are bought.")])
    assert "17" not in picked(strategy, COWS, notes).text
    only = Notes.of([Note("Add the cows: 17 in all.", own), Note("Zebras.", "Zzz?")])
    fallen = picked(strategy, COWS, only)
    assert (fallen.source, fallen.strategy, fallen.prompt) == ("bank", strategy, None)
    assert fallen.text.startswith("You ")


@pytest.mark.parametrize("strategy", RETRIEVING)
def test_a_text_that_quotes_the_question_is_of_it(strategy: str) -> None:
    notes = Notes.of([Note(f"Example: {COWS} He has 17."), Note("Add cows that are bought.")])
    assert "17" not in picked(strategy, COWS, notes).text


@pytest.mark.parametrize("strategy", RETRIEVING)
def test_a_note_in_other_words_is_of_the_question_that_it_was_made_from(strategy: str) -> None:
    """No word of it tells: the row says which questions it was made from."""
    text = "Start with a dozen animals, then let the herd grow by those from the market: 17."
    for note in (Note(text, COWS), Note(text, "Who?", (COWS,)), Note(text, "", ("Why?", COWS))):
        notes = Notes.of([note, Note("Let a herd of animals grow by cows that are bought.")])
        found = picked(strategy, COWS, notes, each=5, longest=500)
        assert "17" not in found.text
        assert found.source != "bank"
        other = picked(strategy, "A herd of goats grows at the market. How many?", notes, each=5)
        assert "17" in other.text, "for another question it is a note like any"


def _renumbered(question: str) -> str:
    return re.sub(r"\d+", lambda number: str(int(number[0]) + 1), question)


def _other_end(question: str) -> str:
    return f"{question.rpartition('. ')[0] or question}. What does the whole of it come to?"


def _turned_round(question: str) -> str:
    return " ".join(reversed(re.split(r"(?<=[.?!]) ", question)))


def _in_other_words(question: str) -> str:
    """Change every word of five letters or more."""
    return re.sub(r"\b[A-Za-z]{5,}\b", lambda word: word[0][::-1], question)


def _with_more(question: str) -> str:
    return f"Solve this. {question}\n\nPut the answer into a box."


VARIANTS: tuple[Callable[[str], str], ...] = (
    str.upper, _renumbered, _other_end, _turned_round, _in_other_words, _with_more,
)  # fmt: skip


@pytest.mark.parametrize("strategy", RETRIEVING)
def test_a_context_holds_no_near_duplicate_by_decontaminations_own_measure(
    data: Path, tmp_path: Path, strategy: str
) -> None:
    """What a training set would lose to a test set, a note may not bring in: variants of GSM8K."""
    rows = [json.loads(line) for line in (data / "gsm8k_test200.jsonl").read_text().splitlines()]
    near = far = 0
    for row in rows[:40]:
        question, file = row["problem"], tmp_path / "test.jsonl"
        file.write_text(json.dumps({"id": "q", "problem": question}) + "\n")
        measure = TestQuestions([file])
        for number, variant in enumerate(map(lambda change: change(question), VARIANTS)):
            mark = f"Mark{number}x: {_told(question)}"
            notes = Notes.of([Note(mark, variant), Note(f"Plain: {_told(question)}")])
            text = picked(strategy, question, notes, each=2, longest=5_000).text
            found = measure.overlap(variant) is not None
            assert ("Mark" in text) is not found, (question, variant)
            assert "Plain" in text
            near, far = near + found, far + (not found)
    assert near > 100, "of 240"
    assert far > 20, "else the test would hold for a strategy that gives nothing"


@pytest.mark.parametrize("strategy", RETRIEVING)
def test_planted_notes_are_found(data: Path, strategy: str) -> None:
    """Each of 50 notes tells, in other words, what its question is about."""
    rows = [json.loads(line) for line in (data / "gsm8k_test200.jsonl").read_text().splitlines()]
    asked = [row["problem"] for row in rows]
    told = [_told(question) for question in asked]
    notes = Notes.of([Note(text, f"Question {i}") for i, text in enumerate(told)])
    found = sum(
        told[i] in picked(strategy, asked[i], notes, each=1, longest=None).text for i in range(50)
    )
    assert found >= 45


def _told(question: str) -> str:
    """Return every other content word of a question, in the order of the alphabet."""
    content = sorted(set(re.findall(r"[a-z]{4,}", question.lower())))
    return "How to solve: " + " ".join(content[::2])


def test_examples_show_question_and_solution() -> None:
    notes = Notes.of([Note("9 - 4 = 5 cows.", "A cow herd of 9 loses 4."), Note("Cows. Count.")])
    two = picked("examples", COWS, notes, each=2).text
    assert "Problem: A cow herd of 9 loses 4.\nSolution: 9 - 4 = 5 cows." in two
    assert two.count("\n\n") == 1
    assert len(picked("examples", COWS, notes, each=1).text) < len(two)
    short = picked("examples", COWS, notes, each=2, longest=12).text
    assert short == "Cows. Count."


@pytest.mark.parametrize(("strategy", "title"), [("procedures", "Proc"), ("concepts", "Concepts")])
def test_lists_have_a_title_and_a_line_for_each(strategy: str, title: str) -> None:
    notes = Notes.of([Note("Add\ncows."), Note("Count cows."), Note("Buy cows.")])
    lines = picked(strategy, COWS, notes, each=2).text.splitlines()
    assert lines[0].startswith(title)
    assert len(lines) == 3
    assert all(line.startswith("- ") for line in lines[1:])


@pytest.mark.parametrize(
    "file", ["gsm8k_test200.jsonl", "math500.jsonl", "aime24.jsonl", "aime25.jsonl"]
)
def test_conditions_have_no_number_that_the_question_lacks(data: Path, file: str) -> None:
    for row in map(json.loads, (data / file).read_text().splitlines()):
        found = extract(row["problem"], 8)
        assert found
        bare = " ".join(DRAWING.sub(" ", row["problem"]).split())
        assert all(part in bare for part in found)
        assert not numbers("\n".join(found)) - numbers(row["problem"])


@pytest.mark.parametrize(
    ("question", "conditions"),
    [
        (COWS, ["A farmer has 12 cows and buys 5 more at the fair on Monday"]),
        ("Find all $x$ such that $x^2 = 2.5$.", ["$x^2 = 2.5$"]),
        ("If Mr. Sim pays $3.50 for a pen, how much are 2 pens?", ["Mr. Sim pays $3.50 for a pen"]),
        ("There are 18 mangoes, how many are left?", ["There are 18 mangoes"]),
        ("What is 2+2?", ["What is 2+2"]),
        ("Draw. [asy]draw((0,0)--(1,1));[/asy] AB is 5.", ["Draw", "AB is 5"]),
    ],
)
def test_what_a_question_gives(question: str, conditions: list[str]) -> None:
    assert extract(question, 8) == conditions


def test_conditions_are_written_by_a_model_where_there_is_one() -> None:
    pick = choose("conditions", COWS, shelf=Shelf(BANK), seed=0, member="m", options={"most": 1})
    assert pick is not None
    assert (pick.source, pick.prompt, pick.domain) == ("question", "conditions", None)
    assert pick.text.splitlines() == ["Key conditions:", f"- {COWS.split('. ')[0]}"]
    empty = choose("conditions", " ?! ", shelf=Shelf(BANK), seed=0, member="m")
    assert empty is not None
    assert (empty.source, empty.prompt) == ("bank", None)


def _noise(question: str = COWS, seed: int = 0, **options: object) -> str:
    pick = choose("noise", question, shelf=Shelf(BANK), seed=seed, member="m", options=options)
    assert pick is not None
    assert pick.source == "template"
    return pick.text


@pytest.mark.parametrize("kind", ["numbers", "facts", "question"])
@pytest.mark.parametrize("split", ["train", "heldout"])
@pytest.mark.parametrize("sentences", [1, 4, noise.MOST])
def test_noise_is_of_its_kind_and_length(kind: str, split: str, sentences: int) -> None:
    text = _noise(kind=kind, split=split, sentences=sentences)
    said = re.split(r"(?<=[.?]) ", text)
    assert len(set(said)) == len(said) == sentences
    assert all(sentence.endswith("?" if kind == "question" else ".") for sentence in said)
    assert all(bool(re.search(r"\d", sentence)) == (kind != "facts") for sentence in said)


@pytest.mark.parametrize("kind", ["numbers", "facts", "question"])
def test_the_halves_share_no_template(kind: str) -> None:
    halves = [getattr(half, kind) for half in noise.load().values()]
    assert set(noise.load()) == {"train", "heldout"}
    assert not {_bare(t) for t in halves[0]} & {_bare(t) for t in halves[1]}
    assert all(len(set(half)) == len(half) >= noise.MOST for half in halves)


def _bare(template: str) -> str:
    return re.sub(r"\{[\d-]+\}", "N", template)


def test_noise_varies_and_repeats_with_the_seed() -> None:
    texts = [_noise(seed=seed) for seed in range(50)]
    assert len(set(texts)) >= 45
    assert texts == [_noise(seed=seed) for seed in range(50)]


@pytest.mark.parametrize("kind", ["numbers", "facts", "question"])
def test_noise_never_holds_the_question(kind: str) -> None:
    for template in getattr(noise.load()["train"], kind):
        question = _bare(template).replace("N", "7")
        text = _noise(question, kind=kind, sentences=noise.MOST)
        asked = Asked.of(question)
        assert not any(asked.same(sentence) for sentence in re.split(r"(?<=[.?]) ", text))


def test_a_persona_in_each_language_of_the_list() -> None:
    drawn = {
        code: {
            pick.text
            for seed in range(300)
            if (pick := choose(
                "language", COWS, shelf=Shelf(BANK), seed=seed, member="m",
                options={"languages": [code]},
            ))
        }
        for code in get("language").read({}).languages
    }  # fmt: skip
    assert len(drawn) >= 4
    assert all(len(texts) >= 30 for texts in drawn.values())
    assert all(not a & b for a, b in pairwise(drawn.values()))
