"""What is kept between runs: downloaded files, and the hashes of public data when first seen."""

import json
import os
from pathlib import Path

from .files import atomic_write


def folder() -> Path:
    """Return the folder of what is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "input-time-scaling"


def first_seen(name: str, sha256: str) -> str | None:
    """Return the hash that the public data `name` had when it was first loaded here.

    `None` the first time: then `sha256` is recorded. Whoever cannot write it down loses the
    comparison, never the data.
    """
    path = folder() / "first-seen.json"
    try:
        seen = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        seen = {}
    if not isinstance(seen, dict):
        seen = {}
    found = seen.get(name)
    if isinstance(found, str):
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps({**seen, name: sha256}, indent=2) + "\n")
    except OSError:
        pass  # it only saves work: without it the next process finds out again
    return None
