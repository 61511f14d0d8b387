"""A client on the JDK's own HttpClient; it sends `Upgrade: h2c` with its first request.

Behind ITS_JAVA=1: Debian's default-jdk-headless is 200 MB.
"""

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.proxy.asking import ASK
from tests.scripted import Engine, says

PROGRAM = Path(__file__).parent / "java" / "Ask.java"


@pytest.mark.java
def test_a_java_client_is_answered(proxy: httpx.Client, engine: Engine) -> None:
    java = shutil.which("java")
    assert java is not None, "install default-jdk-headless"
    engine.scripts["n"] = says("7")
    body = json.dumps({"model": "n", "messages": ASK})
    done = subprocess.run(
        [java, str(PROGRAM), f"{proxy.base_url}/v1", body],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == ["200"] * 3
    assert all(json.loads(line.split(" ", 1)[1])["choices"] for line in lines)
