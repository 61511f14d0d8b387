"""What the ranker brings with it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PARTS = "import its.notes, its.personas.bank, its.words, sys; sys.exit('jax' in sys.modules)"


def test_the_ranker_starts_no_jax(tmp_path: Path) -> None:
    """A real JAX takes most of a GPU when it starts; this one says that it was started."""
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("raise SystemExit('started')")
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    ended = subprocess.run(
        [sys.executable, "-c", PARTS], env={**os.environ, "PYTHONPATH": path}, timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_a_jax_that_is_used_stays(tmp_path: Path) -> None:
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("here = True")
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    program = "import jax, its.notes, sys; sys.exit(not sys.modules['jax'].here)"
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
