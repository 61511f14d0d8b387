"""The demo's configuration, wherever the model file lies; what it prints to be pasted is run."""

import io
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from proxy.tools import demo
from proxy.tools.client import Asker
from proxy.tools.shown import ShownAnswer
from tests.conftest import command, require_or_skip
from tests.scripted import Engine, says


@pytest.mark.parametrize(
    "name", ["a.gguf", 'a "b".gguf', "a\\b.gguf", "a\tb\n.gguf", "\U0001f600.gguf"]
)
def test_any_file_name_is_written_as_it_is(name: str) -> None:
    written = tomllib.loads(demo._config(Path("/models") / name))
    assert written["engines"]["cpu"]["embedded"] == f"/models/{name}"
    models = {member["model"] for member in written["members"].values()}
    assert models == {Path(name).stem}
    assert set(written["panels"]["vote3"]["members"]) < set(written["members"])


@pytest.fixture
def asked(engine: Engine) -> Engine:
    engine.scripts.update({name: says(r"\boxed{55}") for name in "nsur"})
    return engine


def pasted(text: str, proxy: httpx.Client) -> str:
    return text.format(base_url=f"{proxy.base_url}/v1", question=json.dumps(demo.YOURS))


def test_the_pasted_python_runs(asked: Engine, proxy: httpx.Client) -> None:
    code = [sys.executable, "-c", pasted(demo.SNIPPET, proxy)]
    ended = subprocess.run(code, capture_output=True, text=True, timeout=60)
    assert ended.stdout == "\\boxed{55}\n", ended.stderr


def test_the_pasted_curl_runs(asked: Engine, proxy: httpx.Client) -> None:
    if shutil.which("curl") is None:
        require_or_skip("no curl")
    line = pasted(demo.CURL, proxy)
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert json.loads(ended.stdout)["input_time"]["votes"][0]["answer"] == "55", ended.stderr


def tour(proxy: httpx.Client, width: int) -> tuple[demo._Tour, io.StringIO]:
    out = io.StringIO()
    base_url = f"{proxy.base_url}/v1"
    console = Console(file=out, width=width)
    return demo._Tour(console, base_url, Asker(base_url)), out


MEMBERS_OF_THE_DEMO = """
[engines.e]
base_url = "{engine}/v1"
[members.demo-s]
engine = "e"
model = "s"
strategy = "similar"
[panels.vote3]
members = ["demo-s"]
"""


@pytest.mark.parametrize("width", [80, 60])
def test_a_vote_shows_the_prompt_and_the_right_answer(start, asked: Engine, width: int) -> None:  # type: ignore[no-untyped-def]
    proxy = start(MEMBERS_OF_THE_DEMO)
    shown, out = tour(proxy, width)
    with shown.client:
        shown.ask("3. A vote", "vote3", demo.ARITHMETIC, 9)
    said = " ".join(out.getvalue().split())
    sent = asked.bodies("s")[0]["messages"][-1]["content"]
    assert " ".join(sent.split()) in said, "the prompt as the engine got it"
    assert "right answer: 291" in said
    assert "winner: 55 (demo-s)" in said
    assert max(map(len, out.getvalue().splitlines())) <= width


def test_the_rest_is_estimated_by_the_first_answer(proxy: httpx.Client) -> None:
    shown, out = tour(proxy, 80)
    with shown.client:
        shown.estimate(ShownAnswer("", {}, tokens=100, seconds=10.0))
    minutes = round(demo.TOKENS_LEFT / demo.AT_ONCE / 10 / 60)
    assert f"about {minutes} minutes" in " ".join(out.getvalue().split())


def test_once_and_serve_exclude_each_other() -> None:
    ended = command("proxy", "demo", "--once", "--serve")
    assert ended.returncode == 2
    assert "give one of --once and --serve" in ended.stderr


def test_a_taken_port_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(demo, "PORT", taken.getsockname()[1])
        assert demo._free_port() == 0
