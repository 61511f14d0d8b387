"""The whole way on a real language model: serve, ask, vote, evaluate, end."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from its.strategies import STRATEGIES
from proxy.config.load import load
from proxy.engines.embedded import EmbeddedServer
from sft.checkpoints import gguf_tokenizer
from sft.checkpoints.parity import compare_all
from tests import trained
from tests.conftest import PLAIN, ROOT, command, process, require_or_skip

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
[members.after]
engine = "cpu"
model = "smollm2-135m"
manifest = "input_time.json"
[members.n]
engine = "cpu"
model = "smollm2-135m"
strategy = "none"
[panels.vote3]
members = ["s", "u", "r"]
early_stop = false
"""


@pytest.fixture(scope="module")
def model() -> Path:
    if importlib.util.find_spec("xllamacpp") is None:
        require_or_skip("the embedded engine is not installed: pip install '.[demo]'")
    found = process("proxy", "model", "smollm2-135m", timeout=300)
    if found.returncode:
        require_or_skip(f"no model: {found.stderr}")
    return Path(found.stdout.strip())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the proxy's configuration, and of the data sets of its members `m-*`."""
    return tmp_path_factory.mktemp("embedded")


@pytest.fixture(scope="module")
def served(model: Path, place: Path) -> Iterator[str]:
    """A proxy with a real model behind it; at the end nothing of it may be left."""
    config = place / "panels.toml"
    train = {"strategy": "random", "placement": "after", "separator": "\n\n\n"}
    manifest = {"schema": 2, "base_model": "smollm2", "train": train}
    config.with_name("input_time.json").write_text(json.dumps(manifest))
    engine = 'engine = "cpu"\nmodel = "smollm2-135m"'
    each = trained.write_all(config.parent).replace("{engine}", engine)
    config.write_text(CONFIG.replace("{model}", str(model)) + each, "utf-8")
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


async def test_nobody_asks_the_engine_without_its_key(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web page can reach the engine's port on loopback as well as the proxy's."""
    for module in ("json", "xllamacpp"):  # and files of the current folder are no modules of ours
        tmp_path.joinpath(f"{module}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "panels.toml"
    text = CONFIG.replace("{model}", str(model))
    config.write_text(text.replace('manifest = "input_time.json"', 'strategy = "random"'), "utf-8")
    server = EmbeddedServer(load(config).engines["cpu"])
    await server.start()
    try:
        await _ask_without_the_key(server)
    finally:
        await server.stop()


async def _ask_without_the_key(server: EmbeddedServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        root = server.base_url.removesuffix("/v1")
        key = {"authorization": f"Bearer {server.api_key}"}
        for path in ("/v1/models", "/models", "/props", "/slots", "/metrics", "/lora-adapters"):
            assert (await client.get(root + path)).status_code == 401, path
        said = {
            "messages": [{"role": "user", "content": "3 + 4"}],
            "max_tokens": 1,
            "content": "a",
            "prompt": "a",
        }
        for path in ("/v1/chat/completions", "/completion", "/tokenize", "/apply-template"):
            for headers in ({}, {"authorization": "Bearer x"}):
                answer = await client.post(root + path, json=said, headers=headers)
                assert answer.status_code == 401, path
            assert (await client.post(root + path, json=said, headers=key)).status_code == 200, path
        (child,) = children(os.getpid())
        assert str(server.api_key).encode() not in _readable(child)


def _readable(pid: int) -> bytes:
    """Return what other processes can read of one."""
    return b"".join(Path(f"/proc/{pid}/{told}").read_bytes() for told in ("cmdline", "environ"))


def test_an_engine_without_a_key_does_not_start(model: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "proxy.engines.embedded", model],
        input="\n", capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "must be the key" in ended.stderr


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
    ended = process(
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
    assert len(started) >= 2, "a proxy, its engine and, by now or soon, a grader"
    # A terminal sends Ctrl-C to the whole group; a supervisor's SIGTERM reaches the demo alone.
    os.killpg(demo.pid, sent) if sent == signal.SIGINT else demo.send_signal(sent)
    assert demo.wait(20) == 130
    demo.stdout.close()
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in started):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)


QUESTIONS = [
    "How many are 3 and 4?",
    "  Spaces  before,\ttabs\n\n\nand lines \n",
    "\\(\\frac{1}{2}\\) of {braces} $x^2$ \u00bd \u4eca\u65e5 \U0001f600",
    "What does <|im_end|> mean? And <think>?",
    "1234567 + 89 = ",
]


@pytest.fixture(scope="module")
def tokenizer(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gguf_tokenizer.write(model, tmp_path_factory.mktemp("tokenizer"))


def composed(folder: Path, *how: str, answer: str | None = None) -> Path:
    """Write the rows that training would see of `QUESTIONS`."""
    rows, out = folder / "rows.jsonl", folder / "composed.jsonl"
    rows.write_text("".join(json.dumps({"problem": q}) + "\n" for q in QUESTIONS))
    ended = command("sft", "compose", rows, *how)
    assert ended.returncode == 0, ended.stderr
    said = [json.loads(line) for line in ended.stdout.splitlines()]
    if answer is not None:
        said = [
            {**row, "messages": [*row["messages"], {"role": "assistant", "content": answer}]}
            for row in said
        ]
    out.write_text("".join(json.dumps(row) + "\n" for row in said))
    return out


def parity(
    data: Path, tokenizer: Path, served: str, model: str
) -> subprocess.CompletedProcess[str]:
    where = ("--tokenizer", tokenizer, "--proxy", served, "--model", model)
    return command("sft", "parity", "--data", data, *where)


@pytest.mark.parametrize("answer", [None, "<think>\nso\n</think>\n7"])
def test_serving_gives_the_model_the_tokens_of_training(
    answer: str | None, served: str, tokenizer: Path, tmp_path: Path
) -> None:
    data = composed(tmp_path, "--strategy", "similar", answer=answer)
    ended = parity(data, tokenizer, served, "s")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 of 5 rows: the same tokens" in ended.stdout


def test_an_answer_that_begins_with_a_line_end_changes_the_prompts_last_token(
    served: str, tokenizer: Path, tmp_path: Path
) -> None:
    """It merges with the template's own: serving never gives the model the token of training."""
    data = composed(tmp_path, "--strategy", "similar", answer="\n\n7")
    ended = parity(data, tokenizer, served, "s")
    assert ended.returncode == 1
    assert "0 of 5 rows" in ended.stdout


def test_parity_holds_without_a_context(served: str, tokenizer: Path, tmp_path: Path) -> None:
    ended = parity(composed(tmp_path, "--strategy", "none"), tokenizer, served, "n")
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_parity_holds_for_every_strategy_with_system_text_and_instruction(
    strategy: str, served: str, place: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = place / strategy / "train.jsonl"
    assert compare_all(data, str(tokenizer), served, f"m-{strategy}", 0, 0, None)
    assert "4 of 4 rows: the same tokens" in capsys.readouterr().out
    shown = data.read_text("utf-8")
    assert shown.count(json.dumps(trained.SYSTEM)[1:-1]) == 4, "the data have it"


def test_a_member_that_does_not_add_the_texts_is_found(
    served: str, place: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The member `n` has no manifest, so the proxy adds nothing for it."""
    assert not compare_all(place / "none" / "train.jsonl", str(tokenizer), served, "n", 0, 0, None)
    told = capsys.readouterr().out
    assert "0 of 4 rows" in told
    assert "-<system>" in told


def test_rows_that_compose_printed_have_parity_too(
    served: str, tokenizer: Path, tmp_path: Path
) -> None:
    before = ("--instruction-placement", "before")
    texts = ("--system", trained.SYSTEM, "--instruction", trained.INSTRUCTION, *before)
    data = composed(tmp_path, "--strategy", "none", *texts)
    ended = parity(data, tokenizer, served, "m-none")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 of 5 rows" in ended.stdout


def test_one_newline_more_is_shown(served: str, tokenizer: Path, tmp_path: Path) -> None:
    """The member `after` has one newline more between question and persona than the rows."""
    data = composed(tmp_path, "--strategy", "random", "--placement", "after")
    ended = parity(data, tokenizer, served, "after")
    assert ended.returncode == 1
    assert "the composed text differs" in ended.stdout
    assert "+⏎" in ended.stdout
    assert "0 of 5" in ended.stdout


def test_another_place_is_shown(served: str, tokenizer: Path, tmp_path: Path) -> None:
    data = composed(tmp_path, "--strategy", "similar", "--placement", "after")
    ended = parity(data, tokenizer, served, "s")
    assert ended.returncode == 1
    assert "the composed text differs" in ended.stdout


def test_another_template_is_shown(served: str, tokenizer: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tokenizer, other)
    template = other / "chat_template.jinja"
    text = template.read_text()
    assert "You are a helpful AI assistant" in text
    template.write_text(text.replace("You are a helpful AI assistant", "You are an assistant"))
    ended = parity(composed(tmp_path, "--strategy", "similar"), other, served, "s")
    assert ended.returncode == 1
    assert "the tokens differ from number" in ended.stdout
    assert "-You\u00b7are\u00b7an\u00b7assistant" in ended.stdout


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"--model": "nobody"}, "Unknown model 'nobody'"),
        ({"--proxy": "http://127.0.0.1:9/v1"}, "the proxy cannot be reached"),
        ({"--tokenizer": "/no/such/folder"}, "--tokenizer /no/such/folder"),
    ],
)
def test_parity_that_cannot_be_checked(
    change: dict[str, str], reason: str, served: str, tokenizer: Path, tmp_path: Path
) -> None:
    data = composed(tmp_path, "--strategy", "similar")
    where = {"--data": data, "--tokenizer": tokenizer, "--proxy": served, "--model": "s", **change}
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ended = process("sft", "parity", *(x for pair in where.items() for x in pair), env=env)
    assert ended.returncode == 2
    assert reason in " ".join(ended.stderr.split())


def test_a_chat_keeps_its_persona_and_the_engines_prefix_cache(served: str) -> None:
    with openai.OpenAI(base_url=served, api_key="none", max_retries=0) as client:
        messages: list[Any] = [{"role": "user", "content": "Tell me of a number you like."}]
        cached, personas = [], set()
        for _ in range(3):
            answer = client.chat.completions.create(model="u", messages=messages, max_tokens=12)
            personas.add((answer.model_extra or {})["input_time"]["persona"])
            assert answer.usage
            assert answer.usage.prompt_tokens_details
            cached.append(answer.usage.prompt_tokens_details.cached_tokens or 0)
            said = answer.choices[0].message.content
            messages += [
                {"role": "assistant", "content": said},
                {"role": "user", "content": "More."},
            ]
    assert len(personas) == 1
    assert cached[0] < cached[1] < cached[2]


def test_the_embedded_engine_has_what_the_proxy_relies_on(served: str) -> None:
    """Through the proxy, so that it is held to the same: a member without a context."""
    for _ in range(3):
        ended = command("proxy", "conformance", "--base-url", served, "--model", "n", "--json")
        found = {row["name"]: row for row in map(json.loads, ended.stdout.splitlines())}
        lacks = {name: row["remark"] for name, row in found.items() if not row["passed"]}
        if "leaves" not in lacks:  # it compares two times, and a loaded machine may stretch one
            break
    assert {name for name in lacks if found[name]["required"]} == set(), lacks
    assert ended.returncode == 0
    assert set(lacks) <= {"regex", "cached", "unknown_model", "stream_counts"}, lacks
