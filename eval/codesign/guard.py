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
from types import FrameType

ENDS_WITHIN = 20.0
"""Seconds from asking all to end until they are killed."""

PR_SET_PDEATHSIG = 1


class _Ended(Exception):
    """The one who waits wants an end, or has ended."""


def run(parent: int, command: Sequence[str]) -> int:
    """Return the command's status as a shell would have it; nothing of it is left running."""
    signal.signal(signal.SIGTERM, _end)
    _hear_of_the_end_of(parent)
    process = subprocess.Popen(command, start_new_session=True)
    try:
        code = process.wait()
    except _Ended:
        code = -signal.SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end(process)
    return code if code >= 0 else 128 - code


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and all of the group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(process, number)
        ends = time.monotonic() + ENDS_WITHIN
        while _signal(process, 0):
            if time.monotonic() > ends:
                break
            time.sleep(0.05)


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal, 0 for none, to a group; `False` where none of it is left."""
    process.poll()  # one that has ended counts until it was waited for
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _hear_of_the_end_of(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent ends (Linux; elsewhere nothing is heard)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(128 + signal.SIGTERM)


def _end(number: int, frame: FrameType | None) -> None:
    raise _Ended


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2:]))
