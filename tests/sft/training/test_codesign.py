"""What is trained on is what was declared; runs go on after a failure."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from its import manifest
from its.types import Layout
from sft.data.build import build
from sft.errors import DataError, TrainingError
from sft.training import codesign
from sft.training.train import done, train_all
from tests.conftest import ROOT, command
from tests.sft.data.test_build import asked, contexts


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"question": f"Q{i}?", "answer": "4"}) + "\n" for i in "ab"))
    out = tmp_path / "data"
    assert build(asked(source=str(rows)), contexts("unsimilar"), out)
    return out / "train.jsonl"


def test_data_as_declared_are_taken(data: Path) -> None:
    wanted = codesign.declared({"strategy": "unsimilar", "test_strategy": "random"})
    record = codesign.checked_data(data, wanted)
    assert record.train.strategy == "unsimilar"
    assert record.train.dataset
    assert record.train.dataset.rows == 2


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (None, "input_time: is missing"),
        ({}, "input_time: Object missing required field `strategy`"),
        ({"strategy": "simlar"}, "input_time: Unknown strategy 'simlar'. Did you mean 'similar'?"),
        ({"strategy": "random", "test_strategy": "x"}, "input_time: Unknown strategy 'x'."),
        ({"strategy": "none", "system": 3}, "Expected `str | null`, got `int` - at `$.system`"),
        ({"strategy": "none", "test": {"temperature": -1}}, "at `$.test.temperature`"),
        ({"strategy": "none", "test": {"top_k": 1}}, "unknown field `top_k` - at `$.test`"),
        ({"strategy": "random", "strat": 1}, "unknown field `strat`"),
        ({"strategy": "random", "test_strategy": "none"}, "in both stages or in none"),
        ({"strategy": "none", "test_strategy": "random"}, "in both stages or in none"),
    ],
)
def test_a_wrong_declaration_is_refused(block: dict[str, object] | None, told: str) -> None:
    with pytest.raises(TrainingError, match="input_time") as raised:
        codesign.declared(block)
    assert told in str(raised.value)


def test_other_data_is_refused(data: Path) -> None:
    wanted = codesign.declared({"strategy": "random"})
    with pytest.raises(TrainingError, match=r"is `random`, and .* was built with `unsimilar`"):
        codesign.checked_data(data, wanted)
    wanted = codesign.declared({"strategy": "unsimilar"})
    with data.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(TrainingError, match="changed after `its-sft build`"):
        codesign.checked_data(data, wanted)
    (data.parent / "dataset.json").unlink()
    with pytest.raises(DataError, match="make the data set with `its-sft build`"):
        codesign.checked_data(data, wanted)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, None),
        ({"system": "Be exact.", "instruction": "Box it's answer."}, None),
        ({"system": None}, "system is none, and .* was built with `Be exact.`"),
        ({"system": "Be brief."}, "say system: 'Be exact.'"),
        ({"instruction": None}, "say instruction: 'Box it''s answer.'"),
        ({"instruction_placement": "before"}, "say instruction_placement: after"),
    ],
)
def test_system_text_and_instruction_are_those_of_the_data(
    said: dict[str, str | None], told: str | None, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "2+2?", "answer": "4"}\n')
    layout = Layout(system="Be exact.", instruction="Box it's answer.")
    how = dataclasses.replace(contexts("none"), layout=layout)
    assert build(asked(source=str(rows)), how, tmp_path / "data")
    wanted = codesign.declared({"strategy": "none", **said})
    data = tmp_path / "data" / "train.jsonl"
    if told is None:
        assert codesign.checked_data(data, wanted).train.system == "Be exact."
    else:
        with pytest.raises(TrainingError, match=told):
            codesign.checked_data(data, wanted)


def test_a_checkpoint_is_asked_as_its_base_unless_the_file_says_otherwise() -> None:
    base = "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"
    plain = codesign.declared({"strategy": "random", "test_strategy": "similar"})
    assert plain.asked(base) == manifest.Test("similar", 0.6, 0.95, 32_768, True)
    assert plain.asked("mine") == manifest.Test("similar")
    own = {"temperature": 0.1, "top_p": None, "thinking": False}
    said = codesign.declared({"strategy": "random", "test": own})
    assert said.asked(base) == manifest.Test("random", 0.1, None, 32_768, False)


@pytest.mark.parametrize("name", ["system", "instruction"])
def test_a_training_does_not_go_on_with_other_texts(name: str, tmp_path: Path) -> None:
    def known(text: str | None) -> manifest.Manifest:
        said: dict[str, Any] = {name: text}
        return manifest.Manifest(manifest.SCHEMA, "b", manifest.Train("none", **said))

    codesign.keep(known("Box it."), tmp_path)
    codesign.check_resumed(tmp_path, known("Box it."))
    with pytest.raises(TrainingError, match=r"was begun with the .* 'Box it.', and this training"):
        codesign.check_resumed(tmp_path, known(None))


def test_a_data_set_s_record_is_no_checkpoint_s(data: Path) -> None:
    with pytest.raises(manifest.ManifestError, match=r"cannot read .*input_time.json"):
        manifest.read(data.parent)
    with pytest.raises(manifest.ManifestError, match="base_model"):
        manifest.read(data.parent / "dataset.json")


@pytest.mark.parametrize(("schema", "told"), [(1, "`its-sft build` it again"), (9, "update")])
def test_a_record_of_another_schema_is_refused(data: Path, schema: int, told: str) -> None:
    path = data.parent / "dataset.json"
    path.write_text(path.read_text().replace('"schema": 2', f'"schema": {schema}'))
    with pytest.raises(DataError, match=f"schema: is {schema}") as raised:
        codesign.checked_data(data, codesign.declared({"strategy": "unsimilar"}))
    assert told in str(raised.value)


def test_held_out_rows_that_were_changed_are_refused(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(json.dumps({"question": f"Q{i}?", "answer": "4"}) + "\n" for i in "abc")
    )
    out = tmp_path / "data"
    what = asked(source=str(rows), held_out=1)
    assert build(what, contexts("none"), out)
    wanted = codesign.declared({"strategy": "none"})
    codesign.checked_data(out / "train.jsonl", wanted)
    (out / "heldout.jsonl").write_text("{}\n")
    with pytest.raises(TrainingError, match=r"heldout.jsonl is not the file that .*dataset.json"):
        codesign.checked_data(out / "train.jsonl", wanted)


@pytest.mark.parametrize(
    ("more", "processes", "batch"),
    [
        ({}, 8, 16),
        ({}, 1, 2),
        ({"context_parallel_size": 2, "gradient_accumulation_steps": 4}, 8, 16),
        ({"tensor_parallel_size": 2}, 8, 8),
    ],
)
def test_the_batch_is_held_to_the_file_s(more: dict[str, int], processes: int, batch: int) -> None:
    cfg = {"micro_batch_size": 1, "gradient_accumulation_steps": 2, **more}
    hardware = codesign.TrainingStep.of(cfg, processes)
    assert hardware == codesign.TrainingStep(processes, batch)
    codesign.check_batch(codesign.declared({"strategy": "none"}), hardware, cfg)
    codesign.check_batch(codesign.declared({"strategy": "none", "batch": batch}), hardware, cfg)
    with pytest.raises(TrainingError, match=f"accept it with batch: {batch}"):
        codesign.check_batch(codesign.declared({"strategy": "none", "batch": 3}), hardware, cfg)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"datasets": []}, "datasets: must name one data set"),
        ({"datasets": [{}, {}]}, "datasets: must name one data set"),
        ({"rl": "dpo"}, "rl: "),
        ({"lora_model_dir": "checkpoints/other"}, "lora_model_dir: "),
        ({"sample_packing": True}, "sample_packing: "),
        ({"streaming": True}, "streaming: "),
        ({"skip_prepare_dataset": True}, "skip_prepare_dataset: "),
        ({"pretraining_dataset": "x"}, "pretraining_dataset: "),
        ({"dataloader_drop_last": True}, "dataloader_drop_last: "),
        ({"load_best_model_at_end": True}, "load_best_model_at_end: "),
        ({"auto_find_batch_size": True}, "auto_find_batch_size: "),
    ],
)
def test_settings_that_hide_what_is_trained_on_are_named(more: dict[str, Any], told: str) -> None:
    assert list(codesign.setting_faults({"datasets": [{}], "sample_packing": False})) == []
    (fault,) = codesign.setting_faults({"datasets": [{}], **more})
    assert fault.startswith(told)


def test_going_on_wants_the_same_data(tmp_path: Path) -> None:
    known = manifest.Dataset("d", 8, "a" * 64, 2, 6, "b" * 64)
    now = manifest.Train("random", dataset=known, batch=4)
    begun = manifest.Manifest(manifest.SCHEMA, "base", now)
    codesign.keep(begun, tmp_path)
    codesign.check_resumed(tmp_path, begun)
    with pytest.raises(TrainingError, match="it was begun with base_model 'base'"):
        codesign.check_resumed(tmp_path, replace(begun, base_model="other"))
    for name, other in (
        ("strategy", replace(now, strategy="similar")),
        ("placement", replace(now, placement="after")),
        ("batch", replace(now, batch=8)),
        ("rows", replace(now, dataset=replace(known, rows=7, rows_trained=5))),
        ("train.jsonl", replace(now, dataset=replace(known, sha256="c" * 64))),
        ("tokens", replace(now, dataset=replace(known, tokens_sha256="c" * 64))),
    ):
        with pytest.raises(TrainingError, match="it was begun with") as raised:
            codesign.check_resumed(tmp_path, replace(begun, train=other))
        assert name in str(raised.value)
        assert "auto_resume_from_checkpoints: false" in str(raised.value)
    (tmp_path / manifest.NAME).unlink()
    with pytest.raises(TrainingError, match="cannot read"):
        codesign.check_resumed(tmp_path, begun)


AXOLOTL = """#!{python}
import json, sys, yaml
from pathlib import Path
from sft.training.fingerprint import config_sha256
config = Path(sys.argv[2])
content = yaml.safe_load(config.read_text())
changes = [arg[2:].partition("=") for arg in sys.argv[3:] if "=" in arg]
content |= {{key.replace("-", "_"): value for key, _, value in changes}}
with Path(__file__).with_name("calls").open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if content.get("fails"):
    sys.exit(3)
folder = Path(content["output_dir"])
folder.mkdir(parents=True, exist_ok=True)
train = {{"strategy": "none", "config_sha256": config_sha256(content)}}
for data in content.get("datasets", []):
    built = json.loads(Path(data["path"]).with_name("dataset.json").read_text())
    train["dataset"] = built["train"]["dataset"]
if sys.argv[1] == "merge-lora":
    (folder / "merged").mkdir()
elif not content.get("forgets"):
    text = json.dumps({{"schema": 2, "base_model": content["base_model"], "train": train}})
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
            Path(f"{name}.yml").write_text(
                f"base_model: org/base\noutput_dir: {tmp_path}/out/{name}\n{more}"
            )
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


def test_a_training_with_other_settings_is_another_one(
    runs: Callable[..., list[str]], tmp_path: Path
) -> None:
    (file,) = map(Path, runs(a="learning_rate: 1e-5\n"))
    console = Console(quiet=True)
    for overrides, trained in (
        ({}, 1), ({}, 0), ({"learning_rate": "2e-5"}, 1), ({"learning_rate": "0.00002"}, 0),
        ({}, 1),
    ):  # fmt: skip
        train_all([file], [], console, overrides)
        assert len(calls(tmp_path)) == trained
    file.write_text(file.read_text().replace("1e-5", "0.00001  # the same"))
    train_all([file], [], console)
    assert calls(tmp_path) == []


def test_a_run_that_only_pushed_is_not_done(tmp_path: Path) -> None:
    from sft.training.fingerprint import config_sha256

    content = {"output_dir": str(tmp_path), "num_epochs": 2, "hub_model_id": "me/it"}
    config = tmp_path / "c.yml"
    config.write_text(json.dumps(content))
    for epochs, ended in ((1.0, False), (2.0, True)):
        train = manifest.Train("none", epochs=epochs, config_sha256=config_sha256(content))
        codesign.keep(manifest.Manifest(manifest.SCHEMA, "b", train), tmp_path)
        assert done(config) == ended


def test_data_that_were_built_anew_are_trained_on(
    runs: Callable[..., list[str]], data: Path, tmp_path: Path
) -> None:
    files = runs(a=f"datasets: [{{path: {data}}}]\n")
    for trained in (1, 0):
        assert command("sft", "train", *files).returncode == 0
        assert len(calls(tmp_path)) == trained
    record = data.with_name("dataset.json")
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
    merged.joinpath(manifest.NAME).unlink()
    merged.rmdir()
    assert command("sft", "train", file, "--base-model", "org/other").returncode == 0
    assert command("sft", "merge", file).returncode == 0
    last = (tmp_path / "bin" / "calls").read_text().splitlines()[-1]
    assert "--base-model=org/other" in last, "not the file's own base"
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
