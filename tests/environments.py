"""Other people's software, each version in a cached environment of its own."""

import shlex
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from its.cache import folder
from tests.conftest import require_or_skip


def environment(package: str, version: str, *more: str, bare: bool = False) -> Path:
    """Return the interpreter of an environment that has `package` of that version.

    `more` are requirements that are installed with it; one place has one set of them. `bare`: they
    stand in for all that it asks for.
    """

    def made(place: Path) -> list[Any]:
        venv.create(place, with_pip=True, clear=True)
        pip = shlex.join([f"{place}/bin/python", "-m", "pip", "install", "-q"])
        wanted = shlex.quote(f"{package}=={version}")
        if bare:
            return ["sh", "-c", f"{pip} {shlex.join(more)} && {pip} --no-deps {wanted}"]
        return ["sh", "-c", f"{pip} {wanted} {shlex.join(more)}"]

    return _cached(package, version, made) / "bin" / "python"


def node_program(package: str, version: str) -> Path:
    """Return the program that the npm package of that version installs under its own name."""
    return node_modules(f"{package}@{version}") / ".bin" / package


def node_modules(*packages: str) -> Path:
    """Return a folder with npm packages, each of the form `NAME@VERSION`, and what they need."""
    names = [package.rpartition("@") for package in packages]

    def made(place: Path) -> list[Any]:
        npm = shutil.which("npm") or require_or_skip("npm is not installed")
        quiet = ["--silent", "--no-fund", "--no-audit"]
        return [npm, "install", *quiet, "--prefix", place, *packages]

    versions = "-".join(version for _, _, version in names)
    return _cached(names[0][0].replace("/", "-"), versions, made) / "node_modules"


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
