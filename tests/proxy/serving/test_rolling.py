"""A rolling restart: two proxies are replaced, one after the other, and no request is lost."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from tests.conftest import MEMBERS, PLAIN, ROOT
from tests.scripted import NO_TLS, Body, Engine, says_after, speaks

CLIENTS = 6
ROUNDS = 2
THINKS = 0.3
"""Seconds that an engine takes, so that a proxy never ends while nothing runs."""


@dataclass
class Served:
    """A proxy process at an address."""

    process: subprocess.Popen[str]
    url: str


def start(config: Path) -> Served:
    line = [sys.executable, "-m", "proxy", "serve", "--config", str(config), "--port", "0"]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        env={**os.environ, **PLAIN},
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said.startswith("serving on "), said
    return Served(process, said.split()[-1])


def end(served: Served) -> None:
    """End a proxy as a cluster does; what runs must be delivered, and the status be 0."""
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0
    assert served.process.stdout is not None
    served.process.stdout.close()


@dataclass
class Load:
    """Clients that ask one proxy after the other, as what stands in front of proxies does.

    A refused connection goes to the next proxy; anything else that is no answer is a lost request.
    """

    proxies: list[Served]
    counted: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    turns: Iterator[int] = field(default_factory=count)
    stop: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        model = ("s", "vote3")[number % 2]
        streams = number % 3 == 0
        while not self.stop.is_set():
            try:
                self.counted[self.ask(model, streams)] += 1
            except (httpx.HTTPError, ValueError, AssertionError) as error:
                self.lost.append(f"{model}, stream {streams}: {type(error).__name__}: {error}")

    def ask(self, model: str, streams: bool) -> str:
        messages = [{"role": "user", "content": f"What is 2 + 3? {next(self.turns)}"}]
        body = {"model": model, "messages": messages, "stream": streams}
        for _ in range(50):
            served = self.proxies[next(self.turns) % len(self.proxies)]
            try:
                answer = httpx.post(
                    f"{served.url}/chat/completions", json=body, timeout=20, verify=NO_TLS
                )
            except httpx.ConnectError:
                time.sleep(0.02)
                continue
            assert answer.status_code == 200, answer.text
            if streams:
                assert "data: [DONE]" in answer.text, answer.text[-200:]
                return "stream"
            assert answer.json()["choices"][0]["message"]["content"]
            return "answer"
        raise AssertionError("every proxy refused")


@contextmanager
def loaded(proxies: list[Served]) -> Iterator[Load]:
    load = Load(proxies)
    clients = [threading.Thread(target=load.client, args=(n,)) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        load.stop.set()
        for client in clients:
            client.join()


def thinks(body: Body) -> Response:
    """Answer after a while, as a stream if that is asked for."""
    if body.get("stream"):
        return speaks("It", " is", r" \boxed{5}", pause=THINKS / 3)(body)
    return says_after(THINKS, r"It is \boxed{5}")(body)


@pytest.fixture
def config(engine: Engine, engine_url: str, tmp_path: Path) -> Path:
    for model in "nsur":
        engine.scripts[model] = thinks
    file = tmp_path / "panels.toml"
    file.write_text(MEMBERS.replace("{engine}", engine_url), "utf-8")
    return file


def test_no_request_is_lost(config: Path) -> None:
    proxies = [start(config), start(config)]
    try:
        with loaded(proxies) as load:
            time.sleep(1)
            for _ in range(ROUNDS):
                for place in range(len(proxies)):
                    before = sum(load.counted.values())
                    fresh = start(config)
                    old, proxies[place] = proxies[place], fresh
                    end(old)
                    time.sleep(0.5)
                    assert sum(load.counted.values()) > before, "answers go on"
    finally:
        for served in proxies:
            end(served)
    assert load.lost == []
    assert load.counted["answer"] > 10
    assert load.counted["stream"] > 5
    print(json.dumps(load.counted))
