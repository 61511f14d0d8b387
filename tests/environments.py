"""Other people's software, each version in a cached environment of its own."""

import shlex
import shutil
import subprocess
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from its.cache import folder
from tests.conftest import require_or_skip


def environment(package: str, version: str, *more: str, instead: Sequence[str] = ()) -> Path:
    """Return the interpreter of an environment that has `package` of that version.

    `more` are requirements that are installed with it; one place has one set of them. `instead` are
    the packages that it gets in place of all that it asks for.
    """

    def made(place: Path) -> list[Any]:
        venv.create(place, with_pip=True, clear=True)
        pip = shlex.join([f"{place}/bin/python", "-m", "pip", "install", "-q"])
        wanted = shlex.join([f"{package}=={version}", *more])
        if not instead:
            return ["sh", "-c", f"{pip} {wanted}"]
        return ["sh", "-c", f"{pip} {shlex.join(instead)} && {pip} --no-deps {wanted}"]

    return _cached(package, version, made) / "bin" / "python"


def node_program(package: str, version: str) -> Path:
    """Return the program that the npm package of that version installs under its own name."""
    return node_modules(package, version) / ".bin" / package


def node_modules(package: str, version: str) -> Path:
    """Return the folder that has the npm package of that version, and what it needs."""

    def made(place: Path) -> list[Any]:
        npm = shutil.which("npm") or require_or_skip("npm is not installed")
        quiet = ["--silent", "--no-fund", "--no-audit"]
        return [npm, "install", *quiet, "--prefix", place, f"{package}@{version}"]

    return _cached(package, version, made) / "node_modules"


def _cached(package: str, version: str, made: Callable[[Path], list[Any]]) -> Path:
    """Return the folder that `made` readies and whose command fills it, once."""
    place = folder() / f"{package}-{version}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not (place / "complete").exists():
            done = subprocess.run(made(place), capture_output=True, text=True, timeout=1800)
            if done.returncode:
                require_or_skip(f"{package} {version} cannot be installed: {done.stderr[-300:]}")
            (place / "complete").touch()
    return place
