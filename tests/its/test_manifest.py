"""The co-design rule, and manifests that cannot be read."""

import json
from pathlib import Path

import pytest

from its.manifest import CoDesign, ManifestError, check, read
from its.types import Layout


def write(folder: Path, strategy: str, **more: object) -> Path:
    path = folder / "input_time.json"
    train = {"strategy": strategy, "placement": "after", "personas": {"source": "bank"}}
    text = {"schema": 1, "base_model": "b", "train": train, "later": 1, **more}
    path.write_text(json.dumps(text), "utf-8")
    return path


@pytest.mark.parametrize("trained", ["none", "similar", "unsimilar", "random"])
@pytest.mark.parametrize("asked", ["none", "similar", "unsimilar", "random"])
def test_a_context_in_one_stage_only_is_a_mismatch(
    tmp_path: Path, trained: str, asked: str
) -> None:
    manifest = read(write(tmp_path, trained))
    same = (trained == "none") == (asked == "none")
    assert check(manifest, asked) is (CoDesign.VERIFIED if same else CoDesign.MISMATCH)


def test_another_layout_is_a_mismatch(tmp_path: Path) -> None:
    manifest = read(write(tmp_path, "random"))
    assert manifest.layout == Layout("after")
    assert check(manifest, "random", Layout("after")) is CoDesign.VERIFIED
    assert check(manifest, "random", Layout("before")) is CoDesign.MISMATCH
    assert check(read(write(tmp_path, "none")), "none", Layout("before")) is CoDesign.VERIFIED


def test_no_manifest_is_unverified() -> None:
    assert check(None, "random") is CoDesign.UNVERIFIED


def test_the_test_strategy_defaults_to_the_trained_one(tmp_path: Path) -> None:
    assert read(write(tmp_path, "similar")).test_strategy == "similar"
    path = write(tmp_path, "similar", test={"strategy": "random"})
    assert read(path).test_strategy == "random"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no co-design manifest"),
        ("[]", "is no co-design manifest"),
        ('{"schema": 1, "base_model": "b"}', "missing required field `train`"),
        ('{"schema": 1, "base_model": "b", "train": {"strategy": "x"}}', "Invalid enum value 'x'"),
        ('{"schema": 9, "base_model": "b", "train": {"strategy": "none"}}', "schema: is 9"),
    ],
)
def test_a_broken_manifest_names_its_file(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "input_time.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ManifestError, match=reason) as error:
        read(path)
    assert str(path) in str(error.value)


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        read(tmp_path / "nothing.json")
