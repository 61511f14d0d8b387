"""Runs a command, and ends all that it started when the command ends or the experiment does.

Run: `python -m eval.codesign.guard PARENT COMMAND...`, where PARENT is the process that waits. An
experiment may be killed by a signal that it cannot see; its trainings and servers must not go on,
for the same command will start them anew, on the same folders and ports.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

ENDS_WITHIN = 20.0
"""Seconds from asking all to end until they are killed."""

PAUSE = 0.05
"""Seconds between two looks at a process; a signal that raised could come before it is known."""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def run(parent: int, command: Sequence[str]) -> int:
    """Return the command's status as a shell would have it; nothing of it is left running."""
    asked: list[int] = []  # by whoever waits, or by his end
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    _hear_of_the_end_of(parent)
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and not asked:
        time.sleep(PAUSE)
    end(process)
    code = -signal.SIGTERM if asked else process.returncode
    return code if code >= 0 else 128 - code


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and all of the group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(process, number)
        ends = time.monotonic() + ENDS_WITHIN
        while _signal(process, 0):
            if time.monotonic() > ends:
                break
            time.sleep(PAUSE)


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal, 0 for none, to a group; `False` where none of it is left."""
    process.poll()
    with suppress(ChildProcessError):  # one that has ended counts until it was waited for
        while os.waitpid(-process.pid, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _hear_of_the_end_of(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent ends (Linux; elsewhere nothing is heard).

    Orphans of the command become children of this process, whatever process 1 is.
    """
    if sys.platform == "linux":
        kernel = ctypes.CDLL(None)
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        kernel.prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2:]))
