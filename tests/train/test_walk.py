"""The way from data to an answer on a laptop: the very commands of docs/training.md."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from its import manifest
from tests.conftest import PLAIN, ROOT
from tests.train.test_machines import free_port

PAGE = (ROOT / "docs" / "training.md").read_text("utf-8")
REAL = bool(os.environ.get("ITS_WALK"))
"""ITS_WALK=1 walks with SmolLM2-135M (ten minutes); else a tiny model is in its place."""


def block(name: str, language: str) -> str:
    """Return the code block after `<!-- walk: NAME -->`."""
    found = re.search(rf"<!-- walk: {name} -->\n```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A folder as somebody has it who installed the package: no clone, no checkpoints."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "sft").mkdir()
    shutil.copy(ROOT / "sft" / "smoke.jsonl", folder / "sft")
    if not REAL:
        shutil.copytree(tiny, folder / "models" / "smollm2-135m")
    programs = folder / "bin"
    programs.mkdir()
    for name, package in (("its-sft", "sft"), ("its-proxy", "proxy"), ("its-eval", "eval")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {package} "$@"\n')
        (programs / name).chmod(0o755)
    return folder


def shell(place: Path, lines: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ, **PLAIN, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1",
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "2",
    }  # fmt: skip
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=place, env=env, text=True, capture_output=True, timeout=1500,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(place: Path) -> Path:
    """Build, convert, train, merge, choose an epoch, export."""
    lines = block("train", "sh")
    if not REAL:
        lines = re.sub(r"(?m)^its-sft convert .*\n", "", lines)
    ended = shell(place, lines)
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-3000:]
    assert "its-sft convert" in block("train", "sh")
    return place


@pytest.fixture(scope="module")
def proxy(trained: Path) -> Iterator[str]:
    """Serve with the documented configuration, on a port that is free."""
    (trained / "panels.toml").write_text(block("panels", "toml"))
    command = block("serve", "sh").strip()
    port = free_port()
    assert command == "its-proxy serve --config panels.toml --port 8000"
    words = [sys.executable, "-m", "proxy", *command.replace("8000", str(port)).split()[1:]]
    process = subprocess.Popen(
        words, cwd=trained, text=True, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving on ")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_exported_model_carries_what_the_trainer_saw(trained: Path) -> None:
    known = manifest.read(trained / "served")
    assert known == manifest.read(trained / "checkpoints" / "smoke-cpu-lora" / "merged")
    assert known.train.dataset
    assert (known.train.dataset.rows, known.train.dataset.rows_held_out) == (64, 8)
    assert known.train.dataset.rows_trained == 56


def test_an_epoch_was_chosen_by_the_held_out_questions(trained: Path) -> None:
    found = json.loads((trained / "checkpoints/smoke-cpu-lora/select/select.json").read_text())
    assert found["problems"] == 8
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1.0, 2.0]
    assert found["best"] in {epoch["checkpoint"] for epoch in found["epochs"]}
    assert not list((trained / "checkpoints").rglob("*.gguf")), "they are made to be asked only"


def test_the_same_tokens_in_training_and_in_serving(proxy: str, trained: Path) -> None:
    line = block("parity", "sh").replace("http://127.0.0.1:8000", proxy)
    ended = shell(trained, line)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "20 of 20 rows: the same tokens" in ended.stdout


def test_the_answer_is_verified(proxy: str, trained: Path) -> None:
    line = block("ask", "sh").replace("http://127.0.0.1:8000", proxy)
    ended = shell(trained, line)
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    assert answer["choices"][0]["message"]["content"]
    assert answer["input_time"]["co_design"] == "verified"
    assert answer["input_time"]["strategy"] == "random"


def test_asked_otherwise_it_is_refused(proxy: str) -> None:
    body = {
        "model": "smoke", "messages": [{"role": "user", "content": "1 + 1?"}],
        "input_time": {"strategy": "none"},
    }  # fmt: skip
    answer = httpx.post(f"{proxy}/v1/chat/completions", json=body, trust_env=False)
    assert answer.status_code == 400
