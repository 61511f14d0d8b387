"""The wheel, in an empty environment, outside the clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import ROOT


def run(*args: object, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    ended = subprocess.run(
        [str(arg) for arg in args],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_wheel_works_alone(tmp_path: Path) -> None:
    build = ("-m", "build", "--wheel", "--outdir", tmp_path, ROOT)
    run(sys.executable, *build, cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "its/personas/bank.jsonl" in names
    assert not [name for name in names if name.startswith("tests/")]
    home = tmp_path / "venv"
    run(sys.executable, "-m", "venv", home, cwd=tmp_path)
    python = home / "bin" / "python"
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(python, *install, "-c", ROOT / "constraints" / "base.txt", wheel, cwd=tmp_path)
    script = (
        "from its.personas import bank; from importlib.resources import files;"
        "print(len(bank.load().personas), files('its'))"
    )
    count, _, where = run(python, "-c", script, cwd=tmp_path).strip().partition(" ")
    assert int(count) >= 400
    assert str(ROOT) not in where
    for command in ("its-proxy", "its-sft", "its-eval"):
        assert "Usage" in run(home / "bin" / command, "--help", cwd=tmp_path)
