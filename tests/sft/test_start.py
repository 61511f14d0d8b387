"""`its-sft --help` starts at once: what a command needs is imported when it runs."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

SLOW = {
    *("numpy", "scipy", "bm25s", "torch", "transformers", "datasets", "tokenizers", "gguf"),
    *("httpx", "openai", "asyncio", "yaml", "jinja2", "tomlkit", "filelock"),
}
HELP = """
import sys
from sft.__main__ import app
try:
    app(sys.argv[1:])
finally:
    print(*sys.modules, sep="\\n", file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["", "build", "train", "select", "parity"])
def test_help_loads_nothing_slow(command: str) -> None:
    words = [*filter(None, [command]), "--help"]
    ended = subprocess.run(
        [sys.executable, "-c", HELP, *words], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert "Usage" in ended.stdout
    loaded = ended.stderr.splitlines()
    assert "typer" in loaded, "the modules were not listed: this test would pass on anything"
    assert not SLOW & set(loaded)
