"""The whole way on a real language model: serve, ask, vote, evaluate, end."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.conftest import PLAIN, ROOT, command, require_or_skip

pytestmark = pytest.mark.engine

CONFIG = """
[engines.cpu]
embedded = "{model}"
[members.s]
engine = "cpu"
model = "smollm2-135m"
strategy = "similar"
[members.u]
engine = "cpu"
model = "smollm2-135m"
strategy = "unsimilar"
[members.r]
engine = "cpu"
model = "smollm2-135m"
strategy = "random"
[panels.vote3]
members = ["s", "u", "r"]
early_stop = false
"""


@pytest.fixture(scope="module")
def model() -> Path:
    if importlib.util.find_spec("xllamacpp") is None:
        require_or_skip("the embedded engine is not installed: pip install '.[demo]'")
    found = command("proxy", "model", "smollm2-135m", timeout=300)
    if found.returncode:
        require_or_skip(f"no model: {found.stderr}")
    return Path(found.stdout.strip())


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A proxy with a real model behind it; at the end nothing of it may be left."""
    config = tmp_path_factory.mktemp("embedded") / "panels.toml"
    config.write_text(CONFIG.replace("{model}", str(model)), "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve", "--config", str(config), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **PLAIN},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving on "), "the proxy did not start"
    engines = children(process.pid)
    assert len(engines) == 1
    yield line.removeprefix("serving on ").strip()
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    process.stdout.close()
    assert not any(alive(engine) for engine in engines)


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in found.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_member_streams(served: str) -> None:
    with openai.OpenAI(base_url=served, api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="s",
            messages=[{"role": "user", "content": "What is 3 + 4?"}],
            max_tokens=12,
            temperature=0,
            stream=True,
            extra_body={"input_time": {}},
        )
        first, *chunks = list(stream)
    assert (first.model_extra or {})["input_time"]["strategy"] == "similar"
    said = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert len([text for text in said if text]) >= 10, "tokens come one by one"
    assert first.id == chunks[0].id


def test_a_panel_votes(served: str) -> None:
    with openai.OpenAI(base_url=served, api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(
            model="vote3",
            messages=[{"role": "user", "content": "What is 3 + 4? Say only \\boxed{} of it."}],
            max_tokens=24,
            temperature=0,
            extra_body={"input_time": {"return_ballots": True}},
        )
    told = (answer.model_extra or {})["input_time"]
    ballots = told["ballots"]
    assert [ballot["strategy"] for ballot in ballots] == ["similar", "unsimilar", "random"]
    assert len({ballot["persona"] for ballot in ballots}) == 3
    assert all(ballot["content"] for ballot in ballots)
    [winner] = [ballot for ballot in ballots if ballot["member"] == told["winner"]]
    assert answer.choices[0].message.content == winner["content"]
    assert answer.usage is not None
    spent = [ballot["usage"]["completion_tokens"] for ballot in ballots]
    assert answer.usage.completion_tokens == sum(spent)


def test_a_run_through_the_panel(served: str, tmp_path: Path) -> None:
    ended = command(
        *("eval", "run", "arith", "--limit", "2", "--base-url", served, "--model", "vote3"),
        *("--max-tokens", "24", "--out", tmp_path / "run"),
    )
    assert ended.returncode == 0, ended.stderr
    lines = (tmp_path / "run" / "samples.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 2
    for row in rows:
        assert row["finish_reason"] in {"stop", "length"}
        assert len(row["input_time"]["ballots"]) == 3
    for name in ("vote3", "s", "u", "r"):
        assert name in ended.stdout


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_leaves_nothing_behind(model: Path, tmp_path: Path, sent: signal.Signals) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "proxy", "demo", "--once", "--model", str(model)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **PLAIN, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert demo.stdout is not None
    while "jars" not in (line := demo.stdout.readline()):
        assert line, "the demo ended early"
    proxies = children(demo.pid)
    started = [*proxies, *(engine for pid in proxies for engine in children(pid))]
    assert len(started) == 2
    # A terminal sends Ctrl-C to the whole group; a supervisor's SIGTERM reaches the demo alone.
    os.killpg(demo.pid, sent) if sent == signal.SIGINT else demo.send_signal(sent)
    assert demo.wait(20) == 130
    demo.stdout.close()
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in started):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)
