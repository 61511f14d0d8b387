"""What `its-sft export` refuses before it reads a weight."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from its import manifest
from its.manifest import Manifest, Train
from sft.checkpoints.export import export
from sft.errors import CheckpointError
from tests.conftest import command


def checkpoint(folder: Path, **files: object) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def record(folder: Path, strategy: str) -> None:
    folder.mkdir(exist_ok=True)
    found = Manifest(manifest.SCHEMA, "base", Train(strategy))
    manifest.write(found, folder / manifest.NAME)


def test_an_adapter_is_to_be_merged_first(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "lora", adapter_config={})
    said = command("sft", "export", folder, "--gguf", tmp_path / "m.gguf")
    assert said.returncode == 2
    assert "merge it with `its-sft merge FILE`" in " ".join(said.stderr.split())
    assert f"export {folder / 'merged'}" in said.stderr.replace("\n", " ")


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    said = command("sft", "export", tmp_path / "none", "--gguf", tmp_path / "m.gguf")
    assert said.returncode == 2
    assert "none: has no config.json; give the folder of a checkpoint" in said.stderr


@pytest.mark.parametrize("own", [None, "similar"])
def test_a_file_never_gets_another_model_s_manifest(own: str | None, tmp_path: Path) -> None:
    """A folder has one manifest: a second model in it would be verified by the first one's."""
    folder = checkpoint(tmp_path / "model", config={})
    if own:
        record(folder, own)
    record(tmp_path / "out", "random")
    with pytest.raises(
        CheckpointError, match="manifest of another checkpoint; write this one into"
    ):
        export(folder, tmp_path / "out" / "m.gguf", "f16", Console(quiet=True))


def test_a_file_that_is_alone_is_replaced_and_keeps_its_manifest_until_then(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", config={"model_type": "none of ours"})
    record(folder, "similar")
    record(tmp_path / "out", "random")
    (tmp_path / "out" / "m.gguf").touch()
    with pytest.raises((CheckpointError, ValueError, OSError, KeyError)) as failed:
        export(folder, tmp_path / "out" / "m.gguf", "f16", Console(quiet=True))
    assert "another checkpoint" not in str(failed.value), "it got as far as the weights"
    assert "random" in (tmp_path / "out" / "input_time.json").read_text()


def test_a_manifest_is_not_put_beside_another_model(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", config={})
    record(folder, "random")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "base.gguf").touch()
    with pytest.raises(CheckpointError, match=r"has base.gguf without input_time.json"):
        export(folder, tmp_path / "out" / "m.gguf", "f16", Console(quiet=True))


def test_a_broken_manifest_is_not_passed_on(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", config={}, input_time={"schema": 99})
    said = command("sft", "export", folder, "--gguf", tmp_path / "out" / "m.gguf")
    assert said.returncode == 2
    assert "schema: is 99" in said.stderr
    assert not (tmp_path / "out").exists()
