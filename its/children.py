"""How this project starts its own programs: they find the modules that this process finds, and a
file such as `json.py` in the user's current folder does not take the place of one of them.
"""

import os
import sys


def python(module: str, *words: object) -> list[str]:
    """Return the command that runs `module`; start it with `environment()`."""
    return [sys.executable, "-P", "-m", module, *map(str, words)]


def environment() -> dict[str, str]:
    """Return this process's environment, with its module path for the child."""
    places = sys.path
    if not sys.flags.safe_path:
        # The first place is the current folder (`python -m`) or the script's. It goes last, behind
        # the standard library: a checkout that is not installed is still found there.
        places = [*places[1:], *places[:1]]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def shown(program: str) -> str:
    """Return a program's path as a user would type it: from the current folder if it is below."""
    path = os.path.relpath(program)
    return program if path.startswith(os.pardir) else path
