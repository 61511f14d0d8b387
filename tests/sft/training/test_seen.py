"""A trainer's rows against the file's, and what is learnt against the answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sft.errors import TrainingError
from sft.training import learnt
from sft.training.learnt import MASKED
from sft.training.seen import Chat, compare, sample, tokens_sha256

END, STOPS = 1, {1}


class Letters:
    """A tokenizer of which each character is a token; 1 ends a turn."""

    all_special_ids = (END, 2)

    def __call__(self, text: str, *, add_special_tokens: bool) -> Mapping[str, Any]:
        return {"input_ids": [ord(letter) for letter in text]}

    def decode(self, ids: Sequence[int], **options: Any) -> str:
        return "".join({1: "<end>", 2: "<other>"}.get(i, chr(i)) for i in ids)


TOKENIZER = Letters()


def ids(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def row(question: str, answer: str, end: Sequence[int] = (END,), on: int = 1) -> dict[str, Any]:
    told, said = ids(question), [*ids(answer), *end]
    labels = [MASKED] * len(told) + (said if on else [MASKED] * len(said))
    return {"input_ids": told + said, "labels": labels}


def chat(line: int, question: str, answer: str) -> Chat:
    return Chat(line, row(question, answer)["input_ids"], [answer])


ROWS = [row(f"Q{n}:", f"A{n}") for n in range(5)]
CHATS = [chat(n + 1, f"Q{n}:", f"A{n}") for n in range(5)]


def held(rows: Sequence[dict[str, Any]], chats: Sequence[Chat] = CHATS) -> list[Chat]:
    return compare(rows, chats, "train.jsonl", 9, TOKENIZER)


def test_the_same_rows_in_another_order_are_the_same() -> None:
    assert held(ROWS[::-1]) == CHATS
    assert tokens_sha256(ROWS[::-1]) == tokens_sha256(ROWS)
    twice = [*ROWS, ROWS[0]]
    assert held(twice, [*CHATS, CHATS[0]])
    with pytest.raises(TrainingError, match="has 6 rows, and the trainer holds 5"):
        held(ROWS, [*CHATS, CHATS[0]])


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.pop(),
        lambda rows: rows.append(rows[0]),
        lambda rows: rows[2].update(input_ids=[*rows[2]["input_ids"][:-2], 65, END]),
        lambda rows: rows[2].update(labels=[MASKED] * len(rows[2]["labels"])),
    ],
)
def test_another_row_token_or_label_is_another_hash(change: Any) -> None:
    rows = [dict(each) for each in ROWS]
    change(rows)
    assert tokens_sha256(rows) != tokens_sha256(ROWS)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (ROWS[:-1], "has 5 rows, and the trainer holds 4; 1 of the file's are not among them. The"
         " first is line 5: 'Q4:A4<end>'"),
        ([*ROWS, row("Q9:", "A9")], "of which this one is not in the file: 'Q9:A9<end>'"),
        ([*ROWS[:-1], row("Q4:", "B4")], "line 5: the file has 'Q4:A4<end>' where the trainer has"
         " 'Q4:B4<end>'"),
    ],
)  # fmt: skip
def test_a_difference_is_shown_on_both_sides(rows: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(TrainingError) as raised:
        held(rows)
    assert told in str(raised.value)


def test_long_rows_that_were_dropped_are_named_as_such() -> None:
    long = chat(6, "Question:", "A5")
    with pytest.raises(
        TrainingError, match=r"1 of these are longer than sequence_len \(9 tokens\)"
    ):
        held(ROWS, [*CHATS, long])


def test_the_sample_is_spread_over_all_rows() -> None:
    assert list(sample(3)) == [0, 1, 2]
    assert len(sample(1000)) <= 64
    assert sample(1000)[-1] > 900
    assert list(sample(0)) == []


def fault(one: dict[str, Any], answers: Sequence[str]) -> str:
    with pytest.raises(TrainingError) as raised:
        learnt.check([one], [Chat(1, one["input_ids"], answers)], STOPS, TOKENIZER)
    assert "the answer: " in str(raised.value)
    return str(raised.value)


def test_the_answer_and_its_end_are_learnt() -> None:
    one = row("Q:", " A\n")
    learnt.check([one], [Chat(1, one["input_ids"], ["A"])], STOPS, TOKENIZER)
    two, again = row("Q:", "A"), row("More:", "B")
    both = {key: two[key] + again[key] for key in two}
    learnt.check([both], [Chat(1, both["input_ids"], ["A", "B"])], STOPS, TOKENIZER)
    last = {**both, "labels": [MASKED] * len(two["labels"]) + again["labels"]}
    learnt.check([last], [Chat(1, last["input_ids"], ["A", "B"])], STOPS, TOKENIZER)


def test_what_else_is_learnt_is_told() -> None:
    assert "nothing is learnt" in fault(row("Q:", "A", on=0), ["A"])
    assert "not the answer" in fault(row("Q:", "A"), ["<think>x</think>A"])
    asked = row("Q:", "A")
    assert "not the answer" in fault({**asked, "labels": asked["input_ids"]}, ["A"])
    split = {**asked, "labels": [81, MASKED, *asked["labels"][2:]]}
    assert "more than the answer is learnt" in fault(split, ["A"])
    for end in ((), (2,)):
        assert "the end of the turn is not learnt" in fault(row("Q:", "A", end), ["A"])
