"""A training's hash says what decides it, and nothing of where it runs."""

import os
from pathlib import Path
from typing import Any

import pytest

from sft.training.fingerprint import config_sha256, prepared


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a base model, data, a template and DeepSpeed's settings; one is in it."""
    fill(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(folder: Path) -> None:
    for name, text in (
        ("base/config.json", "{}"), ("base/tokenizer.json", "t"), ("base/model.safetensors", "w"),
        ("data/train.jsonl", "rows"), ("data/heldout.jsonl", "others"), ("t.jinja", "{{ m }}"),
        ("zero3.json", "{}"),
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder: str = "", **changes: Any) -> dict[str, Any]:
    at = f"{folder}/" if folder else ""
    return {
        "base_model": f"{at}base", "chat_template_jinja": f"{at}t.jinja",
        "deepspeed": f"{at}zero3.json", "output_dir": f"{at}out", "learning_rate": "1e-5",
        "dataset_prepared_path": f"{at}prepared", "sequence_len": 1024, "bf16": True,
        "datasets": [{"path": f"{at}data/train.jsonl", "type": "chat_template"}],
        "test_datasets": [{"path": f"{at}data/heldout.jsonl", "type": "chat_template"}],
        "axolotl_config_path": f"{at}c.yml", **changes,
    }  # fmt: skip


def test_the_hash_does_not_depend_on_the_folder(place: Path, tmp_path_factory: Any) -> None:
    here = config_sha256(content())
    other = tmp_path_factory.mktemp("other")
    fill(other)
    assert config_sha256(content(str(place))) == here
    assert config_sha256(content(str(other))) == here
    os.chdir(other)
    assert config_sha256(content()) == here
    assert config_sha256(content("../" + place.name)) == here
    assert prepared(content(str(place))).name == prepared(content()).name


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 1.0e-5}, {"learning_rate": "0.00001"}, {"bf16": "true"},
        {"sequence_len": "1024"}, {"output_dir": "x"}, {"debug": False, "debug_num_examples": 0},
        {"resume_from_checkpoint": "out/checkpoint-3"}, {"wandb_project": None},
    ],
)  # fmt: skip
def test_what_changes_nothing_does_not_count(place: Path, changes: dict[str, Any]) -> None:
    assert config_sha256(content(**changes)) == config_sha256(content())


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 2e-5}, {"bf16": False}, {"sequence_len": 2048}, {"base_model": "an/id"},
        {"shuffle_merged_datasets": False}, {"deepspeed": None}, {"new": 0}, {"input_time": {}},
        {"datasets": [{"path": "data/train.jsonl", "type": "alpaca"}]},
    ],
)  # fmt: skip
def test_what_decides_counts(place: Path, changes: dict[str, Any]) -> None:
    assert config_sha256(content(**changes)) != config_sha256(content())


@pytest.mark.parametrize("name", ["t.jinja", "zero3.json", "base/tokenizer.json"])
def test_a_named_file_counts_by_its_content(place: Path, name: str) -> None:
    was = config_sha256(content())
    (place / name).write_text("edited")
    assert config_sha256(content()) != was


@pytest.mark.parametrize(
    "name", ["data/train.jsonl", "data/heldout.jsonl", "t.jinja", "base/tokenizer.json"]
)
def test_prepared_rows_are_apart_for_other_content(place: Path, name: str) -> None:
    was = prepared(content())
    assert was.parent == Path("prepared")
    assert prepared(content(dataset_prepared_path=str(was))) == was, "asked twice"
    assert prepared(content(learning_rate=1)) == was
    (place / name).write_text("edited")
    assert prepared(content()) != was
    assert prepared(content(dataset_prepared_path=str(was))) != was


def test_what_is_not_there_yet_has_a_hash(place: Path) -> None:
    for gone in ("data/train.jsonl", "t.jinja", "base/config.json", "base/tokenizer.json"):
        (place / gone).unlink()
    assert prepared(content()).name.startswith("its-")
    assert config_sha256(content(base_model="no/such-model", chat_template_jinja="{{ a }}" * 500))
