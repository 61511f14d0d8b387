"""What every test may use: the scripted engine, a proxy in front of it, the data folder."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, chdir, redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, Protocol
from unittest import mock

import httpx
import pytest

from proxy.api.app import create_app
from proxy.config.load import load
from proxy.serving.connection import Connection
from tests.scripted import NO_TLS, Engine, serving

ROOT = Path(__file__).parent.parent
collect_ignore = [
    *([] if find_spec("axolotl") else ["train"]),  # they run by make test-train
    *([] if os.environ.get("ITS_SGLANG") else ["sglang"]),  # and by make test-sglang
]
# A shell has its background jobs ignore Ctrl-C, and what they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)

PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
"""The environment in which what a command prints is the same everywhere."""

MEMBERS = """
[engines.e]
base_url = "{engine}/v1"
[members.n]
engine = "e"
model = "n"
strategy = "none"
[members.s]
engine = "e"
model = "s"
strategy = "similar"
[members.u]
engine = "e"
model = "u"
strategy = "unsimilar"
[members.r]
engine = "e"
model = "r"
strategy = "random"
[panels.vote3]
members = ["s", "u", "r"]
early_stop = false
"""


class Proxy(Protocol):
    """Starts a proxy on `config` (with `{engine}` for the scripted engine's address)."""

    def __call__(self, config: str = MEMBERS) -> httpx.Client: ...


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Only asyncio: trio is here because selenium needs it, and nothing of ours runs on it."""
    return "asyncio"


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def engine_url(engine: Engine) -> Iterator[str]:
    with serving(engine.app()) as url:
        yield url


@pytest.fixture
def start(engine_url: str, tmp_path: Path) -> Iterator[Proxy]:
    """Yield a function that starts a proxy and returns a client of it."""
    running: list[AbstractContextManager[object]] = []

    def started(config: str = MEMBERS) -> httpx.Client:
        file = tmp_path / "panels.toml"
        file.write_text(config.replace("{engine}", engine_url), "utf-8")
        app = create_app(load(file))
        server = serving(app, partial(Connection, app=app, seconds=30.0, stalled=60.0))
        client = httpx.Client(
            base_url=server.__enter__(), timeout=30, trust_env=False, verify=NO_TLS
        )
        running.extend([server, client])
        return client

    yield started
    for manager in reversed(running):
        manager.__exit__(None, None, None)


@pytest.fixture
def proxy(start: Proxy) -> httpx.Client:
    """A client of a proxy with the members n, s, u, r and the panel vote3."""
    return start()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real problems; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("ITS_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        require_or_skip("no data: set ITS_DATA to the folder of aime24.jsonl and others")
    return folder


def command(
    package: str, *args: object, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command line of `package` in this process; return what `process` would.

    A process of its own would spend most of a second on its imports. An error that the command does
    not turn into a line and a status is raised here.
    """
    app = import_module(f"{package}.__main__").app
    line, name = [str(arg) for arg in args], f"python -m {package}"
    out, err, status = io.StringIO(), io.StringIO(), 0
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    with (
        mock.patch.dict(os.environ, {**(env or {}), **PLAIN}, clear=env is not None),
        mock.patch.object(sys, "argv", [f"its-{package}", *line]),
        mock.patch.object(os, "execve", side_effect=AssertionError("a process is the point")),
        chdir(ROOT), redirect_stdout(out), redirect_stderr(err),
    ):  # fmt: skip
        try:
            app(line, prog_name=name)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return subprocess.CompletedProcess([name, *line], status, out.getvalue(), err.getvalue())


HANDLED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""The signals that commands handle."""


def process(
    package: str, *args: object, env: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `python -m package` with `args`, as a user does who is 100 columns wide."""
    return subprocess.run(
        [sys.executable, "-m", package, *map(str, args)],
        capture_output=True,
        text=True,
        env={**(os.environ if env is None else env), **PLAIN},
        cwd=ROOT,
        timeout=timeout,
    )


FLAGS = {"download": "ITS_DOWNLOAD", "java": "ITS_JAVA"}
"""Marks of tests that need much (half a gigabyte, a JDK), and the variables that ask for them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs much, unless it is asked for."""
    unwanted = {mark for mark, variable in FLAGS.items() if not os.environ.get(variable)}
    left_out = [item for item in items if any(map(item.get_closest_marker, unwanted))]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def longer(short: int, long: int) -> int:
    """Return how much a test marked `long` does: `short` in `make test`, `long` in `test-long`."""
    return long if os.environ.get("ITS_LONG") else short


def require_or_skip(reason: str) -> NoReturn:
    """Skip a test for want of set-up, visibly; where everything must run (CI), fail."""
    if os.environ.get("ITS_REQUIRE"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything must run (CI), a test that was skipped in any way has failed."""
    report = yield
    if report.skipped and os.environ.get("ITS_REQUIRE") and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped: {report.longrepr}"
    return report
