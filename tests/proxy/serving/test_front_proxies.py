"""Behind a reverse proxy that keeps its connections, no client gets another one's answer.

The configurations are those of docker/front. An attacker, who has a key of their own, sends
requests whose body could be taken for the next request; a victim asks through the same front.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tests.conftest import MEMBERS, ROOT, require_or_skip
from tests.proxy.asking import serving
from tests.scripted import NO_TLS, Body, Engine, completion

ROUNDS = 20
KEYS = """
[keys.attacker]
secret = "env:ITS_ATTACKER"
[keys.victim]
secret = "env:ITS_VICTIM"
"""
MAP = "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n    upstream"


class Front(NamedTuple):
    """A reverse proxy: its program, its configuration, and how it is started on a copy of it."""

    program: str
    file: str
    arguments: Callable[[Path], list[str]]
    edit: Callable[[str], str] = str


def passes_upgrades(text: str) -> str:
    """Have nginx pass `Upgrade:` on, as most tutorials do: by itself it strips it."""
    forwarded = "Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;"
    return text.replace("upstream", MAP, 1).replace('Connection "";', forwarded)


def nginx(file: Path) -> list[str]:
    return ["-p", str(file.parent), "-c", str(file), "-g", "daemon off;"]


FRONTS = {
    "nginx": Front("nginx", "nginx.conf", nginx),
    "nginx, upgrades passed": Front("nginx", "nginx.conf", nginx, passes_upgrades),
    "haproxy": Front("haproxy", "haproxy.cfg", lambda file: ["-db", "-f", str(file)]),
    "caddy": Front(
        "caddy",
        "Caddyfile",
        lambda file: ["run", "--config", str(file), "--adapter", "caddyfile"],
    ),
}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(front: Front, folder: Path, backend: int) -> Iterator[int]:
    """Run a front proxy with its configuration of docker/front; yield its port."""
    program = shutil.which(front.program, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        require_or_skip(f"{front.program} is not installed")
    port = free_port()
    text = front.edit((ROOT / "docker" / "front" / front.file).read_text("utf-8"))
    file = folder / front.file
    text = text.replace("worker_processes auto", "worker_processes 1")  # each has its connections
    file.write_text(text.replace(":8000", f":{backend}").replace(":8080", f":{port}"), "utf-8")
    with (folder / "front.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *front.arguments(file)],
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)},
            start_new_session=True,
        )
    try:
        for _ in range(200):
            assert process.poll() is None, (folder / "front.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        # With its workers, and at once: some wait for their clients otherwise.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def echoes(body: Body) -> Response:
    return JSONResponse(completion("echo " + body["messages"][-1]["content"]))


def request(key: str, content: bytes, more: bytes = b"") -> tuple[bytes, bytes]:
    """Return head and body of a request to the chat endpoint."""
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json"
        b"\r\nauthorization: Bearer %s\r\n%scontent-length: %d\r\n\r\n"
    )
    return head % (key.encode(), more, len(content)), content


def attacks() -> list[tuple[bytes, bytes]]:
    upgrade = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
    listing = b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer attacks\r\n\r\n"
    prefix = b'{"model":"n","messages":[{"role":"user","content":"'
    head, _ = request("attacks", b"x" * 700)
    wrong = b"expect: 100-continue\r\n"
    # Empty lines before a request are ignored, wherever a front proxy cuts a body in two.
    lines = b"\r\n" * 20_000
    return [
        request("attacks", listing, upgrade),
        request("attacks", lines + listing, upgrade),
        request("attacks", lines + head + prefix, upgrade),
        request("attacks", head + prefix, upgrade),
        request("wrong key", listing, wrong),
    ]


def attack(port: int, head: bytes, body: bytes) -> bytes:
    """Send a body a moment after its head; return what comes back, the first answer at most."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(head)
        time.sleep(0.05)
        try:
            client.sendall(body)
            with client.makefile("rb") as answer:
                client.settimeout(1)
                lines = list(iter(answer.readline, b"\r\n"))
                lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
                return b"".join(lines) + answer.read(int(lengths[0][15:]) if lengths else 0)
        except (TimeoutError, ConnectionError):
            return b""


def victim(port: int, secret: str) -> httpx.Response:
    sent = {"model": "n", "messages": [{"role": "user", "content": secret}]}
    return httpx.post(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json=sent,
        headers={"authorization": "Bearer victims"},
        trust_env=False,
        verify=NO_TLS,
        timeout=10,
    )


@pytest.mark.parametrize("name", FRONTS)
def test_no_client_gets_anothers_answer(
    name: str, engine: Engine, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITS_ATTACKER", "attacks")
    monkeypatch.setenv("ITS_VICTIM", "victims")
    config = tmp_path / "panels.toml"
    config.write_text(MEMBERS.replace("{engine}", engine_url) + KEYS, "utf-8")
    engine.scripts["n"] = echoes
    with serving(config) as (_, url), running(FRONTS[name], tmp_path, port_of(url)) as port:
        for number in range(ROUNDS):
            for kind, (head, body) in enumerate(attacks()):
                secret = f"secret {number} {kind}"
                got = attack(port, head, body)
                answer = victim(port, secret)
                assert answer.status_code == 200, (number, kind, answer.text)
                assert answer.json()["choices"][0]["message"]["content"] == f"echo {secret}"
                assert b"secret" not in got
    asked = [json.dumps(body) for body in engine.bodies("n")]
    assert sum("authorization" in text for text in asked) == 0, "no request was swallowed"


def port_of(url: str) -> int:
    return httpx.URL(url).port or 80
