"""Our own programs as children: what they import."""

import subprocess
import sys
from pathlib import Path

import pytest

from its import children

STARTS = """
import subprocess
from its import children
command, env = children.python({module!r}), children.environment()
raise SystemExit(subprocess.run(command, env=env).returncode)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file that stands for a module of the standard library."""
    tmp_path.joinpath("json.py").write_text("raise SystemExit('json.py was imported')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_module_of_the_current_folder_takes_the_place_of_another(folder: Path) -> None:
    command, env = children.python("json.tool", "--help"), children.environment()
    ended = subprocess.run(command, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_children_find_what_their_parent_finds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    elsewhere.joinpath("only_there.py").write_text("print('found')")
    monkeypatch.syspath_prepend(elsewhere)
    ended = subprocess.run(
        children.python("only_there"), env=children.environment(), capture_output=True, text=True
    )
    assert ended.stdout == "found\n", ended.stderr


def test_a_checkout_that_is_not_installed_is_found(folder: Path) -> None:
    """`python -m` has the current folder on its path; it stays there, behind all others."""
    folder.joinpath("starts.py").write_text(STARTS.format(module="of_ours"))
    folder.joinpath("json.py").unlink()
    folder.joinpath("tomllib.py").write_text("raise SystemExit('tomllib.py was imported')")
    folder.joinpath("of_ours.py").write_text("import tomllib; print('found')")
    ended = subprocess.run([sys.executable, "-m", "starts"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "found\n"), ended.stderr
