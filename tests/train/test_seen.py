"""What the trainer saw is what the manifest says, or the training is refused."""

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from its import manifest
from sft.errors import TrainingError
from sft.training.fingerprint import config_sha256
from tests.train.conftest import DELETES_THINKING

Train = Callable[..., None]
Seen = Callable[..., manifest.Train]
Built = Callable[..., Path]
Configured = Callable[..., Path]

OURS = "sft.training.plugin.InputTimePlugin"


def known(work: Path, name: str) -> manifest.Train:
    return manifest.read(work / "checkpoints" / name).train


def dataset(work: Path, name: str) -> manifest.Dataset:
    found = known(work, name).dataset
    assert found
    return found


def prepared(work: Path, name: str) -> set[Path]:
    return set((work / "prepared" / name).glob("its-*"))


def test_data_built_anew_in_the_same_folder_are_trained_on(
    train_here: Train, built: Built, configured: Configured, work: Path
) -> None:
    built("e1", "random", rows=32)
    train_here(configured("e1", rows="e1"))
    first, old = dataset(work, "e1"), prepared(work, "e1")
    assert (first.rows, first.rows_trained, first.rows_held_out) == (32, 32, 0)
    train = known(work, "e1")
    assert (train.strategy, train.batch, train.steps, train.epochs) == ("random", 4, 8, 1.0)
    assert train.personas.distinct
    assert train.personas.effective
    assert train.personas.effective <= train.personas.distinct <= 32

    built("e1", "none", rows=16)
    config = configured("e1", rows="e1", input_time={"strategy": "none"})
    train_here(config)
    second = dataset(work, "e1")
    assert known(work, "e1").strategy == "none"
    assert (second.rows, second.rows_trained) == (16, 16)
    assert second.tokens_sha256 != first.tokens_sha256
    assert known(work, "e1").steps == 4

    # Prepared rows of the first build in the second one's place: a folder copied, or a collision.
    (new,) = prepared(work, "e1") - old
    shutil.rmtree(new)
    shutil.copytree(old.pop(), new)
    with pytest.raises(TrainingError, match="has 16 rows, and the trainer holds 32"):
        train_here(config)


def test_another_seed_alone_is_another_data_set(
    train_here: Train, seen_here: Seen, built: Built, configured: Configured, work: Path
) -> None:
    hashes = set()
    for seed in (0, 1):
        built("seeded", seed=seed)
        config = configured("seeded", rows="seeded")
        train_here(config, preprocess=True)
        found = seen_here(config).dataset
        assert found
        hashes.add(found.tokens_sha256)
    assert len(hashes) == 2
    assert len(prepared(work, "seeded")) == 2


def test_an_edited_template_is_used(
    seen_here: Seen, built: Built, configured: Configured, work: Path, tiny: Path
) -> None:
    built("templated")
    template = work / "t.jinja"
    text = (tiny / "chat_template.jinja").read_text("utf-8")
    changes = {"chat_template": "jinja", "chat_template_jinja": "t.jinja"}
    config = configured("templated", rows="templated", **changes)
    hashes = []
    for edited in (text, text, text.replace("<|im_end|>", " <|im_end|>", 1)):
        template.write_text(edited, "utf-8")
        found = seen_here(config)
        assert found.dataset
        hashes.append((found.dataset.tokens_sha256, found.config_sha256))
    assert hashes[0] == hashes[1]
    assert hashes[0][0] != hashes[2][0]
    assert hashes[0][1] != hashes[2][1], "a file that the configuration names is part of it"


def test_an_edited_template_of_the_tokenizer_s_own_is_used(
    seen_here: Seen, built: Built, configured: Configured, work: Path, tiny: Path
) -> None:
    built("own")
    base = work / "models" / "edited"
    shutil.copytree(tiny, base)
    config = configured("own", rows="own", base_model="models/edited")
    first = seen_here(config).dataset
    template = base / "chat_template.jinja"
    text = template.read_text("utf-8")
    template.write_text(text.replace("<|im_start|>", "<|im_start|> ", 1), "utf-8")
    second = seen_here(config).dataset
    assert first
    assert second
    assert first.tokens_sha256 != second.tokens_sha256


@pytest.mark.parametrize(
    ("plugin", "told"),
    [
        ("RemovesRow", "has 16 rows, and the trainer holds 15; 1 of the file's are not among them"),
        ("ChangesToken", "has 16 rows, and the trainer holds 16; 1 of the file's"),
        ("LearnsQuestion", "learns other tokens of them"),
        ("LoadsOthers", "the trainer holds 15"),
    ],
)
def test_what_is_changed_after_loading_is_refused(
    train_here: Train,
    built: Built,
    configured: Configured,
    work: Path,
    plugin: str,
    told: str,
) -> None:
    built("tampered")
    plugins = [OURS, f"tests.train.tampering.{plugin}"]
    config = configured("tampered", rows="tampered", plugins=plugins)
    with pytest.raises(TrainingError) as raised:
        train_here(config)
    assert told in str(raised.value)
    if plugin == "ChangesToken":
        assert "the file has '" in str(raised.value)
        assert "where the trainer has '" in str(raised.value)
    assert not (work / "checkpoints" / "tampered" / manifest.NAME).exists()


def test_going_on_is_refused_on_other_data_than_it_was_begun_with(
    train_here: Train, built: Built, configured: Configured, work: Path
) -> None:
    changes = {"auto_resume_from_checkpoints": True, "save_only_model": False}
    config = configured("resumed", rows="resumed", **changes)
    built("resumed")
    train_here(config)
    checkpoint = work / "checkpoints" / "resumed" / "checkpoint-4"
    assert manifest.read(checkpoint).train.steps == 4
    longer = configured("resumed", rows="resumed", num_epochs=2, **changes)
    train_here(longer)
    assert known(work, "resumed").steps == 8
    shutil.rmtree(checkpoint.with_name("checkpoint-8"))
    with pytest.raises(TrainingError, match="begun with batch 4, and this training has 2"):
        train_here(longer, micro_batch_size=2, input_time={"strategy": "random"})
    built("resumed", seed=1)
    with pytest.raises(TrainingError, match=r"begun with the data .SHA-256") as raised:
        train_here(longer)
    assert "resuming from checkpoints/resumed/checkpoint-4" in str(raised.value)
    (checkpoint / manifest.NAME).unlink()
    with pytest.raises(TrainingError, match="No such file"):
        train_here(longer)
    train_here(longer, auto_resume_from_checkpoints=False)
    assert known(work, "resumed").steps == 8


def test_long_rows_are_never_lost_in_silence(
    seen_here: Seen, built: Built, configured: Configured, work: Path, tiny: Path
) -> None:
    built("long")
    drops = configured("long", rows="long", sequence_len=100, excess_length_strategy="drop")
    with pytest.raises(
        TrainingError, match=r"longer than sequence_len \(100 tokens\).*--max-tokens"
    ):
        seen_here(drops)
    cuts = configured("long", rows="long", sequence_len=100, excess_length_strategy="truncate")
    with pytest.raises(TrainingError, match="longer than sequence_len"):
        seen_here(cuts)
    stops = configured("long", rows="long", sequence_len=100, excess_length_strategy="raise")
    with pytest.raises(ValueError, match="exceeds the maximum 100"):
        seen_here(stops)
    kept = {}
    for strategy in ("none", "random", "similar"):
        folder = built(
            f"short-{strategy}", strategy, rows=None, tokenizer=str(tiny), max_tokens=130
        )
        rows = (folder / "train.jsonl").read_text().splitlines()
        kept[strategy] = [yaml.safe_load(row)["id"] for row in rows]
    assert kept["none"] == kept["random"] == kept["similar"]
    assert 0 < len(kept["none"]) < 64
    found = seen_here(configured("short", rows="short-random", sequence_len=130)).dataset
    assert found
    assert found.rows_trained == len(kept["random"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train_on_inputs": True}, "more than the answer is learnt"),
        ({"special_tokens": {"eos_token": "<|endoftext|>"}}, "the end of the turn is not learnt"),
        ({"train_on_eos": "none"}, "the end of the turn is not learnt"),
        ({"template": DELETES_THINKING}, "the learnt text is not the answer"),
        (
            {"template": "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>"
             "{% endfor %}", "eot_tokens": ["<|endoftext|>"]},
            "the end of the turn is not learnt",
        ),
    ],
)  # fmt: skip
def test_learning_something_else_than_the_answer_is_refused(
    train_here: Train, built: Built, configured: Configured, work: Path, changes: dict[str, Any],
    told: str,
) -> None:  # fmt: skip
    rows = work / "thinking.jsonl"
    chat = '{"question": "What is %d + 1?", "solution": "It is %d.", "reasoning": "Add %d."}\n'
    rows.write_text("".join(chat % (n, n, n) for n in range(16)))
    built("learnt", source=rows)
    changes = dict(changes)
    if template := changes.pop("template", None):
        (work / "own.jinja").write_text(template)
        changes |= {"chat_template": "jinja", "chat_template_jinja": "own.jinja"}
    config = configured("learnt", rows="learnt", **changes)
    if "train_on_eos" in changes:
        content = yaml.safe_load(config.read_text())
        content["datasets"][0]["train_on_eos"] = content.pop("train_on_eos")
        config.write_text(yaml.safe_dump(content))
    with pytest.raises(TrainingError) as raised:
        train_here(config, preprocess=bool(template))
    assert told in str(raised.value)
    assert "<think>" in str(raised.value).partition("the answer:")[2], "the row is shown"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"gradient_accumulation_steps": 2}, "batch is 4, and a step would have 8 rows"),
        ({"max_steps": 3}, "would end after 3 steps, and 4 are needed"),
        ({"num_epochs": 0.5}, "would end after 2 steps"),
        ({"dataloader_drop_last": True}, "dataloader_drop_last"),
        ({"streaming": True, "max_steps": 4}, "streaming"),
    ],
)
def test_settings_that_would_make_the_record_wrong_are_refused(
    train_here: Train,
    built: Built,
    configured: Configured,
    changes: dict[str, Any],
    told: str,
) -> None:
    built("set")
    wanted = {"strategy": "random", "batch": 4}
    config = configured("set", rows="set", input_time=wanted, **changes)
    with pytest.raises(ValueError, match=told):
        train_here(config)


def test_held_out_rows_are_measured_and_counted(
    train_here: Train, seen_here: Seen, built: Built, configured: Configured, work: Path
) -> None:
    built("held", held_out=4)
    config = configured("held", rows="held")
    tests = yaml.safe_load(config.read_text())["datasets"]
    tests[0] |= {"path": "data/held/heldout.jsonl", "split": "train"}
    measured = {"test_datasets": tests, "evals_per_epoch": 1, "num_epochs": 2}
    train_here(configured("held", rows="held", **measured))
    found = dataset(work, "held")
    assert (found.rows, found.rows_trained, found.rows_held_out) == (16, 12, 4)
    assert known(work, "held").eval_loss
    tests[0]["path"] = "data/held/train.jsonl"
    with pytest.raises(TrainingError, match="12 of its 12 rows are trained on too"):
        seen_here(configured("held", rows="held", **measured))
    split = seen_here(configured("split", rows="held", val_set_size=2, evals_per_epoch=1)).dataset
    assert split
    assert (split.rows, split.rows_trained, split.rows_held_out) == (16, 10, 6)


def test_an_override_is_part_of_the_configuration(
    seen_here: Seen, built: Built, configured: Configured, tmp_path: Path
) -> None:
    built("overridden")
    config = configured("overridden", rows="overridden")
    content = yaml.safe_load(config.read_text())
    one = seen_here(config, learning_rate="0.005", output_dir=str(tmp_path / "elsewhere"))
    two = seen_here(config, learning_rate="1e-3")
    assert one.config_sha256 == config_sha256(content)
    assert two.config_sha256 == config_sha256({**content, "learning_rate": 0.001})
    assert one.config_sha256 != two.config_sha256


def compared(rank: int, store: str) -> None:
    """Be one of two processes of a training, first with the same rows and then with others."""
    from torch import distributed

    from sft.training.proof import check_same_everywhere

    distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2)
    check_same_everywhere("a" * 64)
    try:
        check_same_everywhere("ab"[rank] * 64)
    except TrainingError as error:
        Path(f"{store}-{rank}").write_text(str(error))
    distributed.destroy_process_group()


def test_every_process_holds_the_same_rows(tmp_path: Path) -> None:
    store = tmp_path / "store"
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=compared, args=(rank, str(store))) for rank in range(2)]
    for process in running:
        process.start()
    for process in running:
        process.join(120)
        assert process.exitcode == 0
    for rank in range(2):
        told = Path(f"{store}-{rank}").read_text()
        assert "0: aaaaaaaaaaaa, 1: bbbbbbbbbbbb" in told
