"""What is trained on is what was declared; runs go on after a failure."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from its import manifest
from its.manifest import CoDesign
from sft import codesign
from sft.build_job import build_all
from sft.built import BuiltError
from sft.codesign import CoDesignError
from tests.conftest import ROOT, command
from tests.sft.test_build import asked, contexts


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"question": f"Q{i}?", "answer": "4"}) + "\n" for i in "ab"))
    out = tmp_path / "data"
    assert build_all(asked(source=str(rows)), contexts("unsimilar"), out, None, None, None)
    return out / "train.jsonl"


def test_data_as_declared_gives_the_checkpoint_its_manifest(data: Path, tmp_path: Path) -> None:
    wanted = codesign.declared({"strategy": "unsimilar", "test_strategy": "random"})
    train = codesign.checked_train(data, wanted)
    found = codesign.checkpoint("base", train, wanted, b"config", {"torch": "2"}, 0.5)
    codesign.keep(found, tmp_path / "checkpoint")
    known = manifest.read(tmp_path / "checkpoint")
    assert known == found
    assert (known.train.strategy, known.test_strategy) == ("unsimilar", "random")
    assert known.train.final_loss == 0.5
    assert manifest.check(known, "similar") is CoDesign.VERIFIED
    assert manifest.check(known, "none") is CoDesign.MISMATCH


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (None, "input_time: is missing"),
        ({}, "input_time: Object missing required field `strategy`"),
        ({"strategy": "sideways"}, "input_time: Invalid enum value 'sideways'"),
        ({"strategy": "random", "strat": 1}, "unknown field `strat`"),
        ({"strategy": "random", "test_strategy": "none"}, "in both stages or in none"),
        ({"strategy": "none", "test_strategy": "random"}, "in both stages or in none"),
    ],
)
def test_a_wrong_declaration_is_refused(block: dict[str, object] | None, told: str) -> None:
    with pytest.raises(CoDesignError, match="input_time") as raised:
        codesign.declared(block)
    assert told in str(raised.value)


def test_other_data_is_refused(data: Path) -> None:
    wanted = codesign.declared({"strategy": "random"})
    with pytest.raises(CoDesignError, match=r"is `random`, and .* was built with `unsimilar`"):
        codesign.checked_train(data, wanted)
    wanted = codesign.declared({"strategy": "unsimilar"})
    with data.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(CoDesignError, match="changed after `its-sft build`"):
        codesign.checked_train(data, wanted)
    (data.parent / "input_time.json").unlink()
    with pytest.raises(BuiltError, match="make the data set with `its-sft build`"):
        codesign.checked_train(data, wanted)


def test_a_data_set_s_record_is_no_checkpoint_s(data: Path) -> None:
    with pytest.raises(manifest.ManifestError, match="base_model"):
        manifest.read(data.parent)


AXOLOTL = """#!{python}
import hashlib, json, sys, yaml
from pathlib import Path
config = Path(sys.argv[2])
content = yaml.safe_load(config.read_text())
with Path(__file__).with_name("calls").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if content.get("fails"):
    sys.exit(3)
folder = Path(content["output_dir"])
folder.mkdir(parents=True, exist_ok=True)
train = {{"strategy": "none", "config_sha256": hashlib.sha256(config.read_bytes()).hexdigest()}}
for data in content.get("datasets", []):
    built = json.loads(Path(data["path"]).with_name("input_time.json").read_text())
    train["dataset"] = built["train"]["dataset"]
if sys.argv[1] == "merge-lora":
    (folder / "merged").mkdir()
elif not content.get("forgets"):
    text = json.dumps({{"schema": 1, "base_model": "b", "train": train}})
    (folder / "input_time.json").write_text(text)
"""
"""Stands in for Axolotl where it cannot be installed; tests/train has the real one."""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return a function that writes training files and returns their names."""
    program = tmp_path / "bin" / "axolotl"
    program.parent.mkdir()
    program.write_text(AXOLOTL.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)

    def written(**files: str) -> list[str]:
        for name, more in files.items():
            Path(f"{name}.yml").write_text(f"output_dir: {tmp_path}/out/{name}\n{more}")
        return [str(tmp_path / f"{name}.yml") for name in files]

    return written


def calls(folder: Path) -> list[str]:
    """Return what axolotl was called with since the last time."""
    path = folder / "bin" / "calls"
    found = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.partition("/")[0] + Path(line.split()[1]).stem for line in found]


def test_axolotl_takes_no_module_of_the_current_folder(
    runs: Callable[..., list[str]], tmp_path: Path
) -> None:
    files = runs(a="")
    tmp_path.joinpath("json.py").write_text("raise SystemExit('json.py was imported')")
    line = [sys.executable, "-P", "-m", "sft", "train", *files]
    ended = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert calls(tmp_path) == ["train a"]


def test_runs_go_one_after_the_other_and_go_on(
    runs: Callable[..., list[str]], tmp_path: Path
) -> None:
    files = runs(a="", b="fails: true\n", c="")
    ended = command("sft", "train", *files)
    assert ended.returncode == 1
    assert "ended with 3" in ended.stderr
    assert calls(tmp_path) == ["train a", "train b"]
    files = runs(a="", b="", c="forgets: true\n")
    ended = command("sft", "train", *files, "--launcher", "python")
    assert ended.returncode == 1
    assert "a.yml: done before" in ended.stderr.replace("\n", "")
    assert "ended without a manifest" in ended.stderr
    assert calls(tmp_path) == ["train b", "train c"]
    runs(c="\n")
    assert command("sft", "train", *files).returncode == 0
    assert calls(tmp_path) == ["train c"]


def test_data_that_were_built_anew_are_trained_on(
    runs: Callable[..., list[str]], data: Path, tmp_path: Path
) -> None:
    files = runs(a=f"datasets: [{{path: {data}}}]\n")
    for trained in (1, 0):
        assert command("sft", "train", *files).returncode == 0
        assert len(calls(tmp_path)) == trained
    record = data.with_name("input_time.json")
    found = json.loads(record.read_text())
    found["train"]["dataset"]["sha256"] = "0" * 64
    record.write_text(json.dumps(found))
    assert command("sft", "train", *files).returncode == 0
    assert calls(tmp_path) == ["train a"]


def test_merging_carries_the_manifest_over(runs: Callable[..., list[str]], tmp_path: Path) -> None:
    (file,) = runs(a="adapter: lora\n")
    ended = command("sft", "merge", file)
    assert ended.returncode == 1
    assert "train first: its-sft train" in ended.stderr
    merged = tmp_path / "out" / "a" / "merged"
    assert command("sft", "train", file).returncode == 0
    merged.mkdir()
    with pytest.raises(manifest.ManifestError, match="its-sft merge CONFIG"):
        manifest.read(merged)
    merged.rmdir()
    assert command("sft", "merge", file).returncode == 0
    assert manifest.read(merged) == manifest.read(merged.parent)
    (whole,) = runs(b="")
    ended = command("sft", "merge", whole)
    assert "trains no adapter" in ended.stderr


@pytest.mark.parametrize("text", ["output_dir: 3\n", "- a\n", "a: [\n"])
def test_a_broken_training_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yml"
    path.write_text(text)
    ended = command("sft", "train", path)
    assert ended.returncode == 1
    assert f"its-sft: {path}: " in ended.stderr
