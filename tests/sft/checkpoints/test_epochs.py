"""`its-sft select` asks every saved epoch as it was trained, and names the best."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from its import manifest
from its.manifest import Manifest
from sft.data import record as records
from tests.conftest import command
from tests.scripted import Engine, serving, speaks

ROWS = 6


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set whose rows are also its held-out rows: only their use is looked at here."""
    source = tmp_path / "source.jsonl"
    rows = [
        {"question": f"What is {n} + {n}?", "answer": f"It is \\boxed{{{2 * n}}}."}
        for n in range(1, ROWS + 1)
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = tmp_path / "data"
    made = command("sft", "build", "--source", source, "--strategy", "random", "--out", folder)
    assert made.returncode == 0, made.stderr
    held = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    held.append({**held[0], "id": "none", "messages": [{"role": "assistant", "content": ""}]})
    (folder / "heldout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    return folder


@pytest.fixture
def config(tmp_path: Path, data: Path) -> Path:
    """A training file with three saved epochs."""
    train = records.read(data).train
    for step, loss in ((4, 0.9), (8, 0.5), (12, 0.7)):
        folder = tmp_path / "run" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        manifest.write(Manifest(manifest.SCHEMA, "base", train), folder / manifest.NAME)
        log = [{"step": step, "eval_loss": loss}, {"step": step, "loss": 1.0}]
        state = {"epoch": step / 4, "log_history": log}
        (folder / "trainer_state.json").write_text(json.dumps(state))
    file = tmp_path / "train.yml"
    content = {
        "output_dir": str(tmp_path / "run"), "datasets": [{"path": str(data / "train.jsonl")}],
    }  # fmt: skip
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture
def served(engine: Engine, engine_url: str) -> Iterator[list[str]]:
    """Options that name an engine for each epoch: its first knows no sum, its second all."""

    def right(body: Any) -> Any:
        text = str(body["messages"])
        n = next(n for n in range(1, ROWS + 1) if f"What is {n} + {n}?" in text)
        return speaks(f"\\boxed{{{2 * n}}}")(body)

    engine.scripts["one"] = speaks("\\boxed{77}")
    engine.scripts["two"] = right
    engine.scripts["checkpoint-12"] = speaks("\\boxed{2}")
    with serving(engine.app()) as url:
        names = ("checkpoint-4", f"{url}/v1#one"), ("checkpoint-8", f"{url}/v1#two")
        last = ("checkpoint-12", f"{url}/v1")
        yield [word for name, at in (*names, last) for word in ("--served", f"{name}={at}")]


def test_the_best_epoch_is_named(config: Path, served: list[str], engine: Engine) -> None:
    ended = command("sft", "select", config, *served)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip().splitlines()[-1] == str(config.with_name("run") / "checkpoint-8")
    assert "6 of 6" in ended.stderr
    assert "1 held-out rows state no final answer" in ended.stderr
    found = json.loads((config.with_name("run") / "select" / "select.json").read_text())
    assert found["best"] == "checkpoint-8"
    shares = [round(epoch["share"] * ROWS) for epoch in found["epochs"]]
    assert shares == [0, 6, 1]
    assert [epoch["eval_loss"] for epoch in found["epochs"]] == [0.9, 0.5, 0.7]
    assert len(engine.received) == 3 * ROWS
    for received in engine.received:  # each with a context: so it was trained
        opening = received.body["messages"][-1]["content"]
        assert len(opening.partition("What is")[0]) > 20


def test_held_out_rows_of_another_build_are_refused(
    config: Path, data: Path, served: list[str]
) -> None:
    [file] = data.glob("*.json")
    record = json.loads(file.read_text())
    record["train"]["dataset"]["sha256"] = "0" * 64
    file.write_text(json.dumps(record))
    ended = command("sft", "select", config, *served)
    assert ended.returncode == 1
    assert "another build than" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ("heldout", [], "build the data set with --hold-out N"),
        ("epochs", [], "has no checkpoint-*; train first"),
        ("", ["--served", "checkpoint-99=http://h/v1"], "no checkpoint-99 in"),
        ("", ["--served", "checkpoint-4"], "must be CHECKPOINT=URL"),
    ],
)
def test_what_is_missing_is_named(
    change: str, options: list[str], told: str, config: Path, data: Path
) -> None:
    if change == "heldout":
        (data / "heldout.jsonl").unlink()
    if change == "epochs":
        config.with_name("run").rename(config.with_name("gone"))
        config.with_name("run").mkdir()
    ended = command("sft", "select", config, *options)
    assert ended.returncode in (1, 2)
    assert told in " ".join(ended.stderr.split())


def test_an_adapter_needs_the_training_file(config: Path, data: Path) -> None:
    run = config.with_name("run")
    (run / "checkpoint-4" / "adapter_config.json").write_text("{}")
    ended = command("sft", "select", run, "--held-out", data / "heldout.jsonl")
    assert ended.returncode == 1
    assert "is an adapter; give the training file" in " ".join(ended.stderr.split())
