"""Runs `its-proxy serve` as a child, for the demo and for `its-proxy ask`."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from its import children

STOP_SECONDS = 15.0


class ServeError(Exception):
    """The proxy did not start; the message says why."""


@contextmanager
def served(config: Path, port: int, log: Path) -> Iterator[str]:
    """Serve `config` for a block; yield the base URL. What the proxy logs goes to the file `log`.

    Raises:
        ServeError: it did not start.
    """
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            children.python("proxy", "serve", "--config", config, "--port", port),
            stdout=subprocess.PIPE, stderr=file, text=True, env=children.environment(),
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("serving on "):
                process.wait(STOP_SECONDS)
                raise ServeError(f"the proxy did not start: {_reason(log)}")
            yield line.removeprefix("serving on ").strip()
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _reason(log: Path) -> str:
    """Return the last line that a proxy logged: an error is one line."""
    lines = [line for line in log.read_text("utf-8").splitlines() if line.strip()]
    return lines[-1].removeprefix("its-proxy: ") if lines else "it said nothing"


@contextmanager
def terminable() -> Iterator[None]:
    """Make a termination end a block as Ctrl-C does: with its children."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
