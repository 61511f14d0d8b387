"""Which state of the project a result was made with."""

import subprocess
from pathlib import Path


def commit() -> str | None:
    """Return the project's git commit, with `+` if files were changed since; `None` outside git."""
    here = Path(__file__).parent
    line = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        ended = subprocess.run(line, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip() or None
