"""A file is there whole or not at all."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from its.files import atomic_open, atomic_write
from tests.conftest import ROOT


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    for content in ("ä\r\n", "ö\n".encode()):
        atomic_write(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes().decode() in {"ä\r\n", "ö\n"}
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, "before")
    with suppress(ZeroDivisionError), atomic_open(path) as file:
        file.write(b"%d" % (1 // 0))
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


KILLED = """
import os, signal, sys
from pathlib import Path
from its.files import atomic_open
with atomic_open(Path(sys.argv[1])) as file:
    file.write(b"after" * 10_000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, "before")
    ended = subprocess.run([sys.executable, "-c", KILLED, path], cwd=ROOT, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
