"""What a command does not need, it does not load: a command that starts fast is asked often."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MEMBERS, PLAIN, ROOT

SERVER = {"starlette", "uvicorn", "prometheus_client", "httptools", "proxy.api.app", "proxy.state"}
HEAVY = {"numpy", "scipy", "sympy", "openai", "httpx", "huggingface_hub", "filelock", "antlr4"}

RUN = """
import sys
from proxy.__main__ import app
try:
    app(sys.argv[1:])
except SystemExit as error:
    assert not error.code, error.code
print(*sys.modules)
"""


def loaded(code: str, *args: object) -> set[str]:
    """Return the modules that are loaded when `code` has run."""
    command = [sys.executable, "-c", code, *map(str, args)]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=60, env={**PLAIN}
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", [[], ["serve"], ["check"], ["init"], ["demo"], ["model"]])
def test_help_loads_nothing_but_the_command_line(command: list[str]) -> None:
    found = loaded(RUN, *command, "--help")
    assert not found & (SERVER | HEAVY | {"msgspec", "asyncio", "its.manifest", "its.answers"})


def test_a_check_loads_no_server(tmp_path: Path) -> None:
    config = tmp_path / "panels.toml"
    config.write_text(MEMBERS.replace("{engine}", "http://127.0.0.1:9"))
    found = loaded(RUN, "check", "--config", config)
    assert "proxy.config.load" in found
    # The ranker of contexts loads numpy and scipy with the names of the strategies.
    assert not found & (SERVER | HEAVY - {"numpy", "scipy"} | {"rich.table"})


def test_the_server_loads_no_client_and_no_algebra() -> None:
    """Answers are compared in processes of their own; those load the algebra."""
    found = loaded("import sys, proxy.serving.server; print(*sys.modules)")
    assert {"starlette", "uvicorn"} <= found
    assert not found & (HEAVY - {"numpy", "scipy"} | {"typer", "rich"})
