"""Clients that people bring, each in an environment of its own, as a process of its own.

They ask a member and a panel: whole and streamed answers, a tool that they run, a talk that goes
on, a model that there is not, a request that they give up.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from tests.conftest import MEMBERS, Proxy, require_or_skip
from tests.environments import environment, node_modules
from tests.proxy.asking import wait_until
from tests.proxy.doors.shapes import CALLS, calling, replies
from tests.scripted import Body, Engine, says_after

CLIENTS = Path(__file__).with_name("clients")
AGENTS, LITELLM = "0.24.0", "1.110.2"
NODE = ("ai@7.0.173", "@ai-sdk/openai@4.0.118", "openai@7.59.0")
MODELS = ("n", "vote3")
SAID = "It is 7"


def solves(body: Body) -> Response:
    """Call the tool for the first question of a talk, and answer whatever else is asked."""
    asked = body["messages"]
    if body.get("tools") and asked[-1]["role"] == "user" and len(asked) <= 2:
        return calling(CALLS[0])(body)
    return replies({"reasoning_content": "hm"}, {"content": "It is "}, {"content": "7"})(body)


@pytest.fixture
def proxy(start: Proxy, engine: Engine) -> httpx.Client:
    """A proxy with a member n and a panel vote3 that solve, and a member that is slow."""
    for name in "nsur":
        engine.scripts[name] = solves
    engine.scripts["slow"] = says_after(60, "late")
    return start(MEMBERS + '[members.slow]\nengine = "e"\nmodel = "slow"\nstrategy = "none"\n')


def run(*command: Any) -> Any:
    """Return what a client prints last: one JSON object."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # litellm asks a server of its makers for prices otherwise, and waits for it.
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=180, env={**kept, **offline}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_openai_agents(proxy: httpx.Client, engine: Engine) -> None:
    python = environment("openai-agents", AGENTS)
    found = run(python, CLIENTS / "agents_client.py", f"{proxy.base_url}/v1", *MODELS)
    items = ["ToolCallItem", "ToolCallOutputItem", "ReasoningItem", "MessageOutputItem"]
    each = {
        "whole": [items, SAID], "streamed": [2, SAID], "later": SAID, "chained": SAID,
        "stateless": SAID,
    }  # fmt: skip
    assert found == {"n": each, "vote3": each, "unknown": "model_not_found", "left": True}
    wait_until(lambda: engine.left == 1)


def test_litellm(proxy: httpx.Client, engine: Engine) -> None:
    python = environment("litellm", LITELLM)
    base_url = str(proxy.base_url).rstrip("/")
    found = run(python, CLIENTS / "litellm_client.py", base_url, *MODELS)
    door = ["add", {"a": 3, "b": 4}, SAID, SAID, "NotFoundError", "Timeout"]
    each = {"chat": door, "messages": door, "responses": ["message", "completed"]}
    assert found == {"n": each, "vote3": each}
    wait_until(lambda: engine.left == 4)


@pytest.mark.parametrize("model", MODELS)
def test_openai_node_and_the_ai_sdk(
    proxy: httpx.Client, engine: Engine, tmp_path: Path, model: str
) -> None:
    node = shutil.which("node") or require_or_skip("Node is not installed")
    (tmp_path / "node_modules").symlink_to(node_modules(*NODE))
    script = shutil.copy(CLIENTS / "node_client.mjs", tmp_path)
    found = run(node, script, f"{proxy.base_url}/v1", model)
    assert found == {
        "node": [{"a": 3, "b": 4}, SAID],
        "nodeStream": [SAID, SAID],
        "nodeUnknown": [404, "model_not_found"],
        "nodeAborted": "APIUserAbortError",
        "ai": [SAID, 2, True],
        "aiLater": SAID,
        "aiStream": [SAID, 2, "stop"],
        "aiStateless": SAID,
        "aiUnknown": 404,
    }
    wait_until(lambda: engine.left == 1)
