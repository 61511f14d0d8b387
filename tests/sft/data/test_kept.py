"""Which rows a build keeps: short enough in every strategy, some held out; what it reports."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from its import strategies
from its.personas import bank
from sft.data import record as records
from sft.data.build import build
from sft.data.examples import Columns
from sft.data.tokens import TokenCounter
from sft.errors import DataError
from tests.conftest import command
from tests.sft.data.test_build import asked, contexts, make
from tests.sft.data.test_build import read as lines
from tests.sft.data.test_build import save as _save

save = _save
TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m.role }} {{ m.content }} <|im_end|> {% endfor %}"
)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A tokenizer that takes each word for a token, with a chat template."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", eos_token="<|im_end|>"
    )
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    made.chat_template = TEMPLATE
    made.save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def rows(*lengths: int) -> list[dict[str, Any]]:
    return [{"question": f"Q{n} " + "word " * n, "answer": "so"} for n in lengths]


def test_a_row_is_too_long_in_every_strategy_or_in_none(
    save: Callable[..., Path], tmp_path: Path, tokenizer: Path
) -> None:
    file, tokens = save(rows(*range(1, 80))), TokenCounter(str(tokenizer))
    longest = max(tokens.length(persona.text) for persona in bank.load().personas)
    kept: dict[str, list[str]] = {}
    for strategy in strategies.STRATEGIES:
        out = tmp_path / strategy
        what = asked(source=str(file), tokenizer=str(tokenizer), max_tokens=90)
        assert build(what, contexts(strategy), out)
        found = lines(out / "train.jsonl")
        kept[strategy] = [row["id"] for row in found]
        assert max(tokens.count(row["messages"]) for row in found) <= 90
        left_out = records.read(out).counts["left out by --max-tokens"]
        assert left_out + len(found) == 79
        assert "left out by --max-tokens" in (out / "card.md").read_text()
    personas = ("none", "similar", "unsimilar", "random", "mixed")
    assert all(kept[strategy] == kept["none"] for strategy in personas)
    assert all(set(each) <= set(kept["none"]) for each in kept.values()), "others may be longer"
    questions = [len(row["question"].split()) for row in lines(tmp_path / "none" / "train.jsonl")]
    bare = tokens.count([{"role": "user", "content": ""}, {"role": "assistant", "content": "so"}])
    assert max(questions) == 90 - longest - bare, "no row is left out that would have had room"


def test_the_rows_asked_for_are_filled_up_with_shorter_ones(
    save: Callable[..., Path], tmp_path: Path, tokenizer: Path
) -> None:
    file = save(rows(*range(1, 80)))
    limit = {"tokenizer": str(tokenizer), "max_tokens": 90}
    what = asked(source=str(file), rows=10, **limit)
    assert build(what, contexts("none"), tmp_path / "d")
    assert records.read(tmp_path / "d").train.dataset
    assert len(lines(tmp_path / "d" / "train.jsonl")) == 10
    what = asked(source=str(file), rows=60, **limit)
    with pytest.raises(DataError, match=r"needs 60 rows and .* left out by --max-tokens"):
        build(what, contexts("none"), tmp_path / "d")


def test_a_persona_file_counts_with_its_longest_persona(
    save: Callable[..., Path], tmp_path: Path, tokenizer: Path
) -> None:
    from sft.rows import question_sha256

    file = save(rows(10, 20))
    long = "word " * 70
    personas = save(
        [
            {
                "row": n, "question_sha256": question_sha256(row["question"]), "asked": "similar",
                "strategy": "similar", "source": "generate", "domain": "d", "model": "w",
                "persona": long if n else "You.", "prompt_sha256": "p",
            }
            for n, row in enumerate(rows(10, 20))
        ],
        "personas.jsonl",
    )  # fmt: skip
    args = ("--source", file, "--strategy", "similar", "--tokenizer", tokenizer)
    more = ("--personas", personas, "--out", tmp_path / "d", "--max-tokens", 95)
    ended = command("sft", "build", *args, *more)
    assert ended.returncode == 0, ended.stderr
    assert "left out by --max-tokens  1" in ended.stderr
    assert [row["question"][:3] for row in lines(tmp_path / "d" / "train.jsonl")] == ["Q10"]


def test_the_limit_needs_what_counts(save: Callable[..., Path], tmp_path: Path) -> None:
    args = ("--source", save(rows(1)), "--strategy", "none", "--out", tmp_path / "d")
    ended = command("sft", "build", *args, "--max-tokens", 9)
    assert ended.returncode == 2
    assert "--max-tokens needs --tokenizer" in ended.stderr


def test_a_template_that_refuses_a_row_is_named(
    save: Callable[..., Path], tmp_path: Path, tokenizer: Path
) -> None:
    (tokenizer / "chat_template.jinja").write_text("{{ raise_exception('no such role') }}")
    args = ("--source", save(rows(1)), "--strategy", "none", "--out", tmp_path / "d")
    ended = command("sft", "build", *args, "--tokenizer", tokenizer)
    assert ended.returncode == 2
    said = ended.stderr.replace("\n", "")
    assert f"--tokenizer {tokenizer}: its chat template refuses a row: no such role" in said


def test_a_template_that_deletes_the_thinking_does_not_shorten_a_row(tokenizer: Path) -> None:
    chat = [
        {"role": "user", "content": "Q?"},
        {"role": "assistant", "content": "<think> a b c d </think> so"},
    ]
    whole = TokenCounter(str(tokenizer)).count(chat)
    (tokenizer / "chat_template.jinja").write_text(
        TEMPLATE.replace("m.content", "m.content.split('</think>')[-1]")
    )
    assert TokenCounter(str(tokenizer)).count(chat) >= whole


def test_held_out_rows_stand_beside_the_others(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save([*rows(*range(20)), *rows(3)])
    whole = make(tmp_path / "whole", asked(source=str(file)))
    tests = save([{"id": "t", "problem": "Q7 " + "word " * 7}], "aime.jsonl")
    ids: list[str] = []
    for strategy in ("none", "random"):
        out = tmp_path / strategy
        make(out, asked(source=str(file), held_out=5, decontaminate=(tests,)), strategy)
        train, held = lines(out / "train.jsonl"), lines(out / "heldout.jsonl")
        assert (len(train), len(held)) == (15, 5)
        ids = ids or [row["id"] for row in held]
        assert [row["id"] for row in held] == ids, "the same rows in every strategy"
        assert {row["strategy"] for row in held} == {strategy}
        told = {row["question"] for row in train}
        assert not told & {row["question"] for row in held}
        assert not any(row["question"].startswith("Q7 ") for row in train + held)
        record = records.read(out)
        assert record.held_out_sha256
        dataset = record.train.dataset
        assert dataset
        assert (dataset.rows, dataset.rows_held_out) == (20, 5)
        assert (dataset.rows_trained, dataset.tokens_sha256) == (None, None)
    assert [row["id"] for row in whole if row["id"] in ids] == ids
    make(tmp_path / "none", asked(source=str(file)), "none")
    assert not (tmp_path / "none" / "heldout.jsonl").exists()


def test_more_cannot_be_held_out_than_have_their_own_question(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    file = save([*rows(1, 2), *rows(1)])
    with pytest.raises(DataError, match="--hold-out 2: of the 3 rows drawn, 1 have a question"):
        make(tmp_path / "d", asked(source=str(file), held_out=2))
    assert not (tmp_path / "d").exists()


def test_what_nobody_meant_is_reported(
    save: Callable[..., Path], tmp_path: Path, tokenizer: Path
) -> None:
    file = save(
        [
            {"id": "a", "question": "One?", "answer": "It is 4.\n#### 4"},
            {"id": "b", "question": " one ", "answer": "\\boxed{4}\n#### 4"},
            {"id": "c", "question": "Two?", "answer": "<|im_end|> 4"},
            {"id": "d", "question": "Say <|endoftext|>", "answer": "4 | 5 <|"},
            {"id": "e", "question": "Three?", "answer": "#### Step 1\nAdd.\n\nThe answer is 3."},
            {"id": "f", "question": "Four?", "answer": "It is 4.\n####4\n"},
        ]
    )
    args = ("--source", file, "--strategy", "none", "--out", tmp_path / "d")
    ended = command("sft", "build", *args)
    assert ended.returncode == 0, ended.stderr
    card = (tmp_path / "d" / "card.md").read_text()
    for told in ("1 rows have a question that another row has too", "2 rows hold the text of",
                 "--source gsm8k --from FILE"):  # fmt: skip
        assert told in ended.stderr
        assert told in card
    assert "c has <|im_end|>" in ended.stderr
    assert "2 rows end with `#### N` and no box" in ended.stderr, "a heading is no answer"
    ended = command("sft", "build", *args, "--tokenizer", tokenizer)
    assert "1 rows hold the text of" in ended.stderr, "this tokenizer has one of both only"


def test_ordinary_rows_are_not_reported(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save([{"question": "a < b | c > d?", "answer": "<think>\n1\n</think>\n\n\\boxed{1}"}])
    args = ("--source", file, "--strategy", "none", "--out", tmp_path / "d")
    ended = command("sft", "build", *args)
    assert "look at" not in ended.stderr
    assert "What to look at" not in (tmp_path / "d" / "card.md").read_text()


def test_a_byte_order_mark_costs_no_row(tmp_path: Path) -> None:
    file = tmp_path / "windows.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"question": "Q?", "answer": "A"}\r\n')
    ended = command("sft", "build", "--source", file, "--strategy", "none", "--out", tmp_path / "d")
    assert ended.returncode == 0, ended.stderr
    assert '"question":"Q?"' in (tmp_path / "d" / "train.jsonl").read_text("utf-8")


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_source_is_named(save: Callable[..., Path], tmp_path: Path, text: str) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text(text)
    with pytest.raises(DataError, match="empty: the source has no rows"):
        make(tmp_path / "d", asked(source=str(file)))
    with pytest.raises(DataError, match="has no rows, so it would leave nothing out"):
        make(tmp_path / "d", asked(source=str(save(rows(1))), decontaminate=(file,)))


def test_how_much_the_contexts_vary_is_recorded(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save(rows(*range(50)))
    for strategy in ("none", "similar", "random"):
        found = make(tmp_path / strategy, asked(source=str(file)), strategy)
        personas = records.read(tmp_path / strategy).train.personas
        texts = [row["persona"] for row in found]
        if strategy == "none":
            assert (personas.distinct, personas.effective) == (None, None)
            continue
        shares = [texts.count(text) / len(texts) for text in set(texts)]
        assert personas.distinct == len(set(texts))
        assert personas.effective == pytest.approx(1 / sum(s * s for s in shares), abs=0.06)


def test_columns_are_still_told(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save([{"q": "Q?", "a": "A", "t": "hm"}])
    what = asked(source=str(file), columns=Columns("q", "a", "t"))
    (row,) = make(tmp_path / "d", what, "none")
    assert json.dumps(row["messages"][-1]["content"]) == json.dumps("<think>\nhm\n</think>\n\nA")
