"""Other people's software, each version in a cached environment of its own."""

import subprocess
import venv
from pathlib import Path

from filelock import FileLock

from its.cache import folder
from tests.conftest import require_or_skip


def environment(package: str, version: str) -> Path:
    """Return the interpreter of an environment that has `package` of that version."""
    place = folder() / f"{package}-{version}"
    place.parent.mkdir(parents=True, exist_ok=True)
    python = place / "bin" / "python"
    with FileLock(f"{place}.lock"):
        if not (place / "complete").exists():
            venv.create(place, with_pip=True, clear=True)
            install = [str(python), "-m", "pip", "install", "--quiet", f"{package}=={version}"]
            done = subprocess.run(install, capture_output=True, text=True, timeout=600)
            if done.returncode:
                require_or_skip(f"{package} {version} cannot be installed: {done.stderr[-300:]}")
            (place / "complete").touch()
    return python
