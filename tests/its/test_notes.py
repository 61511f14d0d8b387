"""Notes: ranked, and never from the question itself."""

from pathlib import Path

import pytest

from its.notes import Note, Notes, NotesError, load

LAMPS = "In how many ways can ten lamps be lit?"
NOTES = Notes.of(
    [
        Note("Use the angle bisector theorem.", "A triangle has an angle bisector. Find AD."),
        Note("Count the complement.", LAMPS),
        Note("Lamps: inclusion and exclusion."),
    ]
)


def fetched(question: str, most: int = 2, longest: int | None = None) -> list[str]:
    return [note.text for note in NOTES.fetch(question, most, longest)]


def test_notes_are_ranked_by_what_they_share_with_the_question() -> None:
    asked = "How many ways can lamps be lit?"
    assert fetched(asked) == ["Count the complement.", "Lamps: inclusion and exclusion."]
    assert fetched(asked, most=1) == ["Count the complement."]


@pytest.mark.parametrize(
    "asked",
    [LAMPS, "in how many ways can ten  lamps be lit", f"{LAMPS}\n\nPut the answer into a box."],
)
def test_a_note_of_this_very_question_is_left_out(asked: str) -> None:
    assert fetched(asked) == ["Lamps: inclusion and exclusion."]


def test_notes_that_have_nothing_to_do_with_it_are_left_out() -> None:
    assert fetched("Who wrote Faust?") == fetched("") == fetched("?") == []


def test_long_notes_and_copies_are_left_out() -> None:
    assert fetched("How many ways can lamps be lit?", longest=25) == ["Count the complement."]
    twice = Notes.of([Note("Draw the cow."), Note("Draw the cow."), Note("Count a cow.")])
    assert len(twice.fetch("cow", 3)) == 2


def test_a_text_that_holds_the_question_is_left_out() -> None:
    long = "A farmer has twelve cows, buys five more at the fair, and sells three to his aunt."
    notes = Notes.of([Note(f"Example: {long} He has fourteen."), Note("Count the cows.")])
    assert [note.text for note in notes.fetch(long, 2)] == ["Count the cows."]


def test_a_note_from_several_questions_is_of_none_of_them() -> None:
    notes = Notes.of([Note("Sum the legs.", questions=("Count hens.", LAMPS)), Note("Lamps.")])
    assert [note.text for note in notes.fetch(LAMPS, 2)] == ["Lamps."]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "two questions or more"),
        ('{"text": "a", "question": "q"}\n{"text": "b", "question": "Q "}', "two questions"),
        ('{"text": "a"}\n{"text": 1}', "line 2"),
        ('{"text": "a"}\n{"text": " "}', "line 2: `text` is empty"),
        ("[]", "line 1"),
        ('{"text": "\xff"}', "line 1"),
    ],
)
def test_notes_that_cannot_be_read_name_their_line(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text(text, "latin-1")
    with pytest.raises(NotesError, match=wrong):
        load(file)


def test_the_hash_is_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text('{"text": "a"}\n{"text": "b"}\n')
    before = load(file).sha256
    file.write_text('{"text": "a"}\n{"text": "c"}\n')
    assert len(before) == 64
    assert load(file).sha256 != before
