"""The real SGLang on a CPU, with a router beside it, and our proxy in front of each."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from its.cache import folder
from proxy.api.app import create_app
from proxy.config.load import load
from proxy.tools import models
from tests.conftest import MEMBERS, ROOT
from tests.scripted import serving

HERE = Path(__file__).parent
ENVIRONMENT = Path(os.environ.get("ITS_SGLANG") or folder() / "sglang-0.5.23-cpu")
STARTS_WITHIN = 300.0
CONVERT = (
    "import sys; from pathlib import Path; from sft.checkpoints.convert import convert; "
    "convert(Path(sys.argv[1]), Path(sys.argv[2]), 'bfloat16')"
)
MODEL = "smollm2-135m"


def python(*args: object) -> list[str]:
    """Return a command line of the environment's Python."""
    return [str(ENVIRONMENT / "bin" / "python"), *map(str, args)]


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{HERE / 'stand_in'}:{ROOT}", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M as the folder that SGLang serves."""
    out = tmp_path_factory.mktemp("models") / MODEL
    model = models.find(MODEL, lambda message, done, total: None)
    subprocess.run(python("-c", CONVERT, model, out), env=environ(), check=True, timeout=300)
    return out


@pytest.fixture(scope="session")
def sglang(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The engine's address, without /v1."""
    port = free_port()
    line = [str(HERE / "serve.sh"), str(checkpoint), MODEL, str(port)]
    with running(line, port, tmp_path_factory.mktemp("sglang") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def router(sglang: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of sglang-router in front of the engine, started as docker/k8s starts it."""
    port = free_port()
    line = python(
        "-m", "sglang_router.launch_router", "--host", "127.0.0.1", "--port", port,
        "--worker-urls", sglang, "--retry-max-retries", "1", "--disable-circuit-breaker",
    )  # fmt: skip
    with running(line, port, tmp_path_factory.mktemp("router") / "log") as url:
        yield url


@pytest.fixture(scope="session", params=["direct", "router"])
def engine(request: pytest.FixtureRequest) -> str:
    """The address by which the proxy reaches the engine: its own, or the router's."""
    return str(request.getfixturevalue("sglang" if request.param == "direct" else "router"))


@pytest.fixture
def served(engine: str, tmp_path: Path) -> Iterator[str]:
    """A proxy's address, up to /v1."""
    with proxied(engine, tmp_path) as url:
        yield url


@contextmanager
def proxied(engine: str, place: Path, more: str = "") -> Iterator[str]:
    """Serve members n, s, u, r and the panel vote3 of one engine, and the tables `more`."""
    config = place / "panels.toml"
    text = MEMBERS.replace("{engine}", engine)
    for name in "nsur":
        text = text.replace(f'model = "{name}"', f'model = "{MODEL}"')
    text += more.replace("{engine}", f'engine = "e"\nmodel = "{MODEL}"')
    config.write_text(text, "utf-8")
    with serving(create_app(load(config))) as url:
        yield f"{url}/v1"


@contextmanager
def running(line: list[str], port: int, log: Path) -> Iterator[str]:
    """Run a server until it lists models, and end it and its children."""
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            line, stdout=out, stderr=out, env=environ(), start_new_session=True
        )
        try:
            until_listed(url, process, log)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)


def until_listed(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < ends and process.poll() is None:
        try:
            cards: Any = httpx.get(f"{url}/v1/models", timeout=5, trust_env=False).json()["data"]
            if cards:
                return
        except (httpx.HTTPError, ValueError, LookupError):
            pass
        time.sleep(0.5)
    pytest.fail(f"did not start: {log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
