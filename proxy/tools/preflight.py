"""Whether there is room on the disk and a package index, before `make` installs anything.

`python proxy/tools/preflight.py FOLDER GIGABYTES` ends with one line and 1 if not. It runs before
anything is installed, so it imports the standard library only.
"""

import os
import shutil
import subprocess
import sys

SECONDS = "10"


def fault(folder: str, gigabytes: float) -> str | None:
    """Return what is missing, and the remedy; `None`: nothing."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        return f"{folder} needs {gigabytes:g} GB, and {free:.2f} GB are free. Make room first."
    if os.environ.get("PIP_NO_INDEX"):
        return None
    command = [sys.executable, "-P", "-m", "pip", "index", "versions", "pip", "--retries", "1"]
    command += ["--timeout", SECONDS, "--disable-pip-version-check"]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode == 0:
        return None
    return (
        "No package index can be reached. Check the network, or name an index that can be:"
        " PIP_INDEX_URL=https://.../simple make ..."
    )


if __name__ == "__main__":
    sys.exit(fault(sys.argv[1], float(sys.argv[2])))
