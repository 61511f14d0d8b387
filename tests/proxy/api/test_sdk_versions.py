"""Both SDKs that people have: openai 2.8 (over httpx) and 3.x (over httpx2), each from an
environment of its own, as a process of its own.
"""

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tests.conftest import MEMBERS, Proxy
from tests.environments import environment
from tests.scripted import (
    CHUNKS,
    Body,
    Engine,
    completion,
    fails,
    says,
    says_after,
    speaks,
    streams,
)

VERSIONS = ["2.8.0", "3.54.0"]
CLIENT = Path(__file__).with_name("sdk_client.py")


CONFIG = (
    MEMBERS
    + "".join(
        f'[members.{name}]\nengine = "e"\nmodel = "{name}"\nstrategy = "random"\n'
        for name in ("t", "slow", "flaky", "cut", "dead1", "dead2")
    )
    + '[panels.vote0]\nmembers = ["dead1", "dead2"]\n'
)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sdk_works_as_it_does_elsewhere(start: Proxy, engine: Engine, version: str) -> None:
    python = environment("openai", version)
    proxy: httpx.Client = start("[server]\nretries = 0\n" + CONFIG)
    for name in "sur":
        engine.scripts[name] = says(r"\boxed{7}")
    engine.scripts["t"] = text_or_stream
    engine.scripts["slow"] = says_after(20, "late")
    attempts = iter([fails(503), fails(429), says("7")])
    engine.scripts["flaky"] = lambda body: next(attempts)(body)
    engine.scripts["cut"] = streams(CHUNKS[:1])
    engine.scripts["dead1"] = engine.scripts["dead2"] = says("")
    done = subprocess.run(
        [python, CLIENT, f"{proxy.base_url}/v1"],
        capture_output=True,
        text=True,
        timeout=120,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    text = r"\boxed{7}"
    assert found == {
        "version": version,
        "member": text,
        "ballots": 3,
        "stream": {"text": "ab", "total": 12, "told": False, "finish": "stop"},
        "panel stream": {"text": text, "total": 45, "told": True, "finish": "stop"},
        "header": "similar",
        "raw": text,
        "models": ["n", "s"],
        "timeout": ["APITimeoutError", None],
        "retried": "7",
        "bad": ["BadRequestError", 400],
        "unknown": ["NotFoundError", 404],
        "broken": ["APIError", None],
        "paid": ["InternalServerError", 502],
        "completion": "ab",
        "responses": [
            ["ab", "response.completed", "ab", "random", 15],
            [text, "response.completed", text, "similar", 45],
        ],
        "async": [text, text, text, text, "ab"],
    }
    paid = [body for body in engine.received if body.body["model"] == "dead1"]
    assert len(paid) == 1, "x-should-retry: false was honoured"


def text_or_stream(body: Body) -> Response:
    if "prompt" in body:
        return JSONResponse({**completion(""), "choices": [{"text": "ab", "index": 0}]})
    return speaks("a", "b")(body)
