"""What tests of the proxy share: a question, a served proxy as a process, and its metrics."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.conftest import PLAIN, ROOT

CHAT = "/v1/chat/completions"
ASK = [{"role": "user", "content": "How many are 3 and 4?"}]
JSON = {"content-type": "application/json"}


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for `condition`; fail after ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def series(proxy: httpx.Client) -> dict[str, float]:
    """Return the samples of `/metrics`, by name and labels."""
    lines = proxy.get("/metrics").text.splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


@contextmanager
def serving(
    config: Path, *args: str, started: Callable[[subprocess.Popen[str]], None] = lambda _: None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `its-proxy serve` until the block ends; yield the process and its base URL.

    `started` is called at once, while it is not serving yet.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve", "--config", str(config), "--port", "0", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **PLAIN},
    )
    try:
        started(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving on http://"), process.communicate(timeout=10)
        yield process, line.removeprefix("serving on ").strip()
    finally:
        process.kill()
        process.communicate(timeout=10)
