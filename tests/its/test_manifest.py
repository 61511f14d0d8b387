"""The co-design rule, and manifests that cannot be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest

from its import strategies
from its.manifest import (
    CoDesign,
    Dataset,
    Manifest,
    ManifestError,
    Personas,
    Test,
    Train,
    check,
    other_contexts,
    read,
    schema,
    write,
)
from its.strategies import get
from its.types import Layout
from tests.conftest import ROOT


def write_text(folder: Path, strategy: str, **more: object) -> Path:
    path = folder / "input_time.json"
    train = {"strategy": strategy, "placement": "after", "personas": {"source": "bank"}}
    text = {"schema": 2, "base_model": "b", "train": train, "later": 1, **more}
    path.write_text(json.dumps(text), "utf-8")
    return path


@pytest.mark.parametrize("trained", ["none", "similar", "unsimilar", "random"])
@pytest.mark.parametrize("asked", ["none", "similar", "unsimilar", "random"])
def test_a_context_in_one_stage_only_is_a_mismatch(
    tmp_path: Path, trained: str, asked: str
) -> None:
    manifest = read(write_text(tmp_path, trained))
    same = (trained == "none") == (asked == "none")
    assert check(manifest, asked) is (CoDesign.VERIFIED if same else CoDesign.MISMATCH)


def test_another_layout_is_a_mismatch(tmp_path: Path) -> None:
    manifest = read(write_text(tmp_path, "random"))
    assert manifest.layout == Layout("after")
    assert check(manifest, "random", Layout("after")) is CoDesign.VERIFIED
    assert check(manifest, "random", Layout("before")) is CoDesign.MISMATCH
    assert check(read(write_text(tmp_path, "none")), "none", Layout("before")) is CoDesign.VERIFIED


def test_no_manifest_is_unverified() -> None:
    assert check(None, "random") is CoDesign.UNVERIFIED


def test_the_test_strategy_defaults_to_the_trained_one(tmp_path: Path) -> None:
    assert read(write_text(tmp_path, "similar")).test_strategy == "similar"
    path = write_text(tmp_path, "similar", test={"strategy": "random"})
    assert read(path).test_strategy == "random"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no co-design manifest"),
        ("[]", "is no co-design manifest"),
        ('{"schema": 2, "base_model": "b"}', "missing required field `train`"),
        ('{"schema": 2, "base_model": "b", "train": {"strategy": "x"}}', "Unknown strategy 'x'"),
        ('{"schema": 9, "base_model": "b", "train": {"strategy": "none"}}', "schema: is 9"),
    ],
)
def test_a_broken_manifest_names_its_file(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "input_time.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ManifestError, match=reason) as error:
        read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "asked", [{"temperature": -0.1}, {"top_p": 0}, {"top_p": 1.5}, {"max_tokens": 0}]
)
def test_sampling_that_no_engine_takes_is_refused(tmp_path: Path, asked: dict[str, float]) -> None:
    """The proxy would send it with every request that is silent about it."""
    with pytest.raises(ManifestError, match=f"test.{next(iter(asked))}"):
        read(write_text(tmp_path, "similar", test=asked))


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        read(tmp_path / "nothing.json")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    manifest = Manifest(
        schema=2,
        base_model="Qwen/Qwen2.5-32B-Instruct",
        train=Train(
            strategy="mixed",
            strategy_options={"mix": {"similar": 1.0, "random": 2.0}},
            placement="after",
            personas=Personas(source="generate", model="w", distinct=871, effective=640.5),
            dataset=Dataset("ot-1k", 1000, "ab" * 32, 50, 950, "cd" * 32),
            batch=16,
            steps=300,
            epochs=5.0,
            world_size=8,
            versions={"axolotl": "0.21.0"},
            final_loss=0.41,
            eval_loss=0.44,
        ),
        test=Test(strategy="random", temperature=0.6, max_tokens=30720, thinking=True),
    )
    path = tmp_path / "input_time.json"
    write(manifest, path)
    assert read(path) == manifest
    assert read(tmp_path) == manifest, "a checkpoint's folder will do"
    assert list(tmp_path.iterdir()) == [path]
    jsonschema_rs.validate(schema(), json.loads(path.read_text()))


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "input_time.json"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        write(Manifest(2, "new", Train("random")), folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_the_published_schema_is_the_readers_own() -> None:
    """ITS_WRITE=1 writes it anew."""
    page = ROOT / "docs" / "input_time.schema.json"
    text = json.dumps(schema(), indent=2) + "\n"
    if os.environ.get("ITS_WRITE"):
        page.write_text(text)
    assert page.read_text() == text


def test_keys_of_a_later_version_are_read_over(tmp_path: Path) -> None:
    path = write_text(tmp_path, "random", of_tomorrow={"a": 1})
    assert read(path).train.strategy == "random"


def test_what_is_wrong_names_its_key(tmp_path: Path) -> None:
    path = tmp_path / "input_time.json"
    path.write_text(
        '{"schema": 2, "base_model": "b", "train": {"strategy": "random", "seed": "x"}}'
    )
    with pytest.raises(ManifestError, match=r"input_time.json .*train.seed: Expected `int`"):
        read(path)


@pytest.mark.parametrize(
    ("mix", "told"),
    [
        ({"none": 1}, "Unknown strategy 'none' of a mix"),
        ({"similar": "much"}, "Expected `float`, got `str`"),
        (["similar"], "Option 'mix' of the strategy 'mixed': Expected `object`, got `array`"),
    ],
)
def test_a_wrong_mix_is_refused(tmp_path: Path, mix: object, told: str) -> None:
    train = {"strategy": "mixed", "strategy_options": {"mix": mix}}
    path = tmp_path / "input_time.json"
    path.write_text(json.dumps({"schema": 2, "base_model": "b", "train": train}))
    with pytest.raises(ManifestError, match=r"train: strategy_options: Option") as raised:
        read(path)
    assert told in str(raised.value)


def test_rows_that_nobody_trained_on_are_not_passed_over(tmp_path: Path) -> None:
    dataset = {"name": "d", "rows": 48, "rows_trained": 22, "rows_held_out": 6}
    path = write_text(tmp_path, "random", train={"strategy": "random", "dataset": dataset})
    with pytest.raises(ManifestError, match="rows is 48, and rows_trained"):
        read(path)
    dataset["rows_trained"] = 42
    write_text(tmp_path, "random", train={"strategy": "random", "dataset": dataset})
    assert read(path).train.dataset == Dataset("d", 48, rows_trained=42, rows_held_out=6)


def test_an_older_schema_names_the_commands_that_write_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "input_time.json"
    path.write_text('{"schema": 1, "base_model": "b", "train": {"strategy": "random"}}')
    with pytest.raises(ManifestError, match=r"schema: is 1.*its-sft build.*its-sft train FILE"):
        read(path)
    path.write_text('{"schema": 3, "base_model": "b", "train": "of tomorrow"}')
    with pytest.raises(ManifestError, match=r"schema: is 3.*update input-time-scaling"):
        read(path)


def test_the_smallest_manifest_has_every_other_field(tmp_path: Path) -> None:
    path = tmp_path / "input_time.json"
    path.write_text('{"schema": 2, "base_model": "b", "train": {"strategy": "none"}}')
    known = read(path)
    assert known == Manifest(2, "b", Train("none"), Test())
    assert (known.train.system, known.train.instruction) == (None, None)


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (
            {"strategy": "simlar"},
            "train: Unknown strategy 'simlar'. Did you mean 'similar'? Available: none, similar,",
        ),
        (
            {"strategy": "noise", "strategy_options": {"sentence": 2}},
            "Unknown option 'sentence' of the strategy 'noise'. Did you mean 'sentences'?",
        ),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(
    tmp_path: Path, train: dict[str, object], told: str
) -> None:
    path = tmp_path / "input_time.json"
    path.write_text(json.dumps({"schema": 2, "base_model": "b", "train": train}))
    with pytest.raises(ManifestError) as raised:
        read(path)
    assert told in str(raised.value)


def test_the_test_strategy_is_checked_too(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"test: Unknown strategy 'randm'. Did you mean"):
        read(write_text(tmp_path, "random", test={"strategy": "randm"}))


def test_options_come_back_typed_and_without_the_hashes_of_files(tmp_path: Path) -> None:
    options = {"each": 3, "longest": None, "notes_sha256": "a" * 64}
    train = {"strategy": "retrieved", "strategy_options": options}
    kept = read(write_text(tmp_path, "retrieved", train=train)).train.options
    assert kept == get("retrieved").read({"each": 3})


def test_a_manifest_loads_no_ranker() -> None:
    """It is read by commands that only look; numpy and a ranker took most of a second."""
    program = (
        "import sys, its.manifest;"
        "heavy = {'numpy', 'scipy', 'bm25s', 'jax'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_another_version_of_the_strategy_is_told() -> None:
    assert other_contexts(Manifest(2, "b", Train("similar", strategy_version=2)), {}) == []
    assert other_contexts(Manifest(2, "b", Train("random")), {}) == []
    [told] = other_contexts(Manifest(2, "b", Train("similar")), {})
    assert "version 1 of the strategy 'similar', and this is version 2" in told


@pytest.mark.parametrize(
    ("strategy", "file"),
    [(name, need) for name in strategies.STRATEGIES for need in strategies.get(name).needs]
    + [("random", "bank")],
)
def test_other_files_than_in_training_are_told_with_both_hashes(strategy: str, file: str) -> None:
    trained, other = "1a2b3c4d5e6f" + "0" * 52, "9f8e7d6c5b4a" + "0" * 52
    if file == "bank":
        train = Train(strategy, personas=Personas(bank_sha256=trained))
    else:
        train = Train(strategy, strategy_options={f"{file}_sha256": trained})
    known = Manifest(2, "b", train)
    assert other_contexts(known, {file: trained}) == []
    assert other_contexts(known, {}) == [], "what is not served is told elsewhere"
    [told] = other_contexts(known, {file: other})
    assert f"another {file} file (1a2b3c4d5e6f...) than `personas.{file}` (9f8e7d6c5b4a...)" in told
