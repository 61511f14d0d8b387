"""`its-proxy` as a command: one clear line, the right exit status, nothing left running."""

import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from its import manifest, notes
from its.manifest import Manifest, Train
from tests.conftest import MEMBERS, command, process
from tests.proxy.asking import serving
from tests.scripted import NO_TLS, Engine, says


@pytest.fixture
def config(tmp_path: Path, engine_url: str) -> Path:
    file = tmp_path / "panels.toml"
    file.write_text(MEMBERS.replace("{engine}", engine_url), "utf-8")
    return file


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_and_ends_on_a_signal(config: Path, engine: Engine, sent: int) -> None:
    engine.scripts["n"] = says("7")
    with serving(config) as (process, url):
        ask = {"model": "n", "messages": [{"role": "user", "content": "x"}]}
        answer = httpx.post(f"{url}/chat/completions", json=ask, trust_env=False, verify=NO_TLS)
        assert answer.json()["choices"][0]["message"]["content"] == "7"
        process.send_signal(sent)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0
    assert "no manifest" in said
    assert "Traceback" not in said


def test_a_taken_port_is_one_line(config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = process("proxy", "serve", "--config", config, "--port", port)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("endpoint", ["http://[", "http://h:70000", "h:4318", "http://h h:4318"])
def test_a_collector_that_has_no_address_is_one_line(config: Path, endpoint: str) -> None:
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    ended = process("proxy", "serve", "--config", config, "--port", "0", env=env)
    assert ended.returncode == 2
    assert "its-proxy: OTEL_EXPORTER_OTLP_ENDPOINT " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_beyond_loopback_needs_a_key(config: Path) -> None:
    ended = process("proxy", "serve", "--config", config, "--host", "0.0.0.0", "--port", "0")
    assert ended.returncode == 2
    assert f"{config}: keys: none, so only loopback is served" in ended.stderr
    config.write_text(config.read_text() + '[keys.a]\nsecret = "env:ITS_TEST_KEY"\n')
    os.environ["ITS_TEST_KEY"] = "a-secret"
    try:
        with serving(config, "--host", "0.0.0.0") as (_, url):
            local = url.replace("0.0.0.0", "127.0.0.1")
            assert httpx.get(f"{local}/models", trust_env=False, verify=NO_TLS).status_code == 401
    finally:
        del os.environ["ITS_TEST_KEY"]


def test_check_says_what_is_served(config: Path) -> None:
    ended = command("proxy", "check", "--config", config)
    assert ended.returncode == 0
    assert "member s: asked with similar, co-design unverified" in ended.stdout
    assert "panel vote3: majority of s, u, r" in ended.stdout
    assert "no manifest" in ended.stderr
    assert "n, s, u, r" in ended.stderr


MISMATCH = """
[members.{name}]
engine = "e"
model = "m"
manifest = "{name}.json"
strategy = "{asked}"
allow_mismatch = {allowed}
"""


def test_explain_shows_how_each_member_was_trained(config: Path) -> None:
    text = config.read_text()
    for name, trained, asked, allowed in (
        ("good", "unsimilar", "random", "false"),
        ("bad", "none", "similar", "false"),
        ("ablation", "similar", "none", "true"),
    ):
        text += MISMATCH.format(name=name, asked=asked, allowed=allowed)
        train = {"strategy": trained}
        manifest = {"schema": 2, "base_model": "b", "train": train}
        config.with_name(f"{name}.json").write_text(json.dumps(manifest))
    config.write_text(text)
    ended = command("proxy", "check", "--config", config, "--explain")
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert ["good", "unsimilar", "random", "before", "the", "question", "verified"] in rows
    assert ["bad", "none", "similar", "before", "the", "question", "mismatch:", "refused"] in rows
    assert ["ablation", "similar", "none", "-", "mismatch,", "allowed"] in rows
    assert ["n", "?", "(no", "manifest)", "none", "-", "unverified"] in rows
    assert ended.returncode == 2
    assert "members.bad.strategy: the checkpoint was trained with 'none' contexts" in ended.stderr
    assert "allow_mismatch = true" in ended.stderr


def test_what_is_served_is_printed_in_every_form(config: Path) -> None:
    told = json.loads(command("proxy", "check", "--config", config, "--json").stdout)
    assert {"member", "trained_with", "asked_with", "co_design"} <= set(told["members"][0])
    assert {each["panel"]: each["members"] for each in told["panels"]}["vote3"] == ["s", "u", "r"]
    tables = command("proxy", "check", "--config", config, "--csv").stdout
    assert "panel,method,members" in tables
    assert "| member |" in command("proxy", "check", "--config", config, "--markdown").stdout


def test_explain_shows_what_else_is_added(config: Path) -> None:
    train = {"strategy": "none", "system": "Think [hard].", "instruction": "Box it."}
    manifest = {"schema": 2, "base_model": "b", "train": train, "test": {"temperature": 0.6}}
    config.with_name("m.json").write_text(json.dumps(manifest))
    member = '[members.m]\nengine = "e"\nmodel = "m"\nmanifest = "m.json"\ndefaults = true\n'
    config.write_text(config.read_text() + member)
    told = command("proxy", "check", "--config", config, "--explain").stdout
    assert "m: adds the system text: Think [hard]." in told
    assert "m: adds the instruction, after the question: Box it." in told
    assert "m: adds sampling, where a request leaves it open: temperature 0.6" in told


@pytest.mark.parametrize("action", ["check", "serve"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [("x = [", "is not TOML"), ("typo = 1", "Unknown key 'typo'. Available: engines,")],
)
def test_a_bad_configuration_is_one_line(
    tmp_path: Path, action: str, text: str, reason: str
) -> None:
    file = tmp_path / "panels.toml"
    file.write_text(text)
    ended = command("proxy", action, "--config", file)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"its-proxy: {file}: ")
    assert reason in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (["check", "--config", "nowhere.toml"], 2, "nowhere.toml"),
        (["serve"], 2, "Missing option"),
        (["conformance", "--base-url", "http://[", "--model", "m"], 2, "has no valid host"),
        (["conformance", "--base-url", "http://h:70000/v1", "--model", "m"], 2, "--base-url"),
        (["init", "--engine", "http://a b/v1"], 2, "--engine: 'http://a b/v1' has a space"),
        (["model", "gpt-17"], 1, "Available: qwen2.5-coder-0.5b"),
        (["demo", "--once", "--model", "nowhere.gguf"], 1, "there is no file nowhere.gguf"),
    ],
)
def test_bad_usage(args: list[str], code: int, reason: str) -> None:
    ended = command("proxy", *args)
    assert ended.returncode == code
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_that_is_no_model_ends_the_demo(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    ended = process("proxy", "demo", "--once", "--model", tmp_path / "broken.gguf")
    assert ended.returncode == 1
    assert "the proxy did not start" in ended.stderr
    assert "Traceback" not in ended.stdout


def test_other_notes_than_in_training_are_a_warning(config: Path) -> None:
    """The checkpoint may be asked with any context, so it is no error."""
    folder = config.parent
    rows = [{"text": f"To count {word}, add them.", "question": f"{word}?"} for word in "abc"]
    (folder / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    served = notes.load(folder / "notes.jsonl").sha256
    train = Train("procedures", strategy_options={"notes_sha256": "1a2b3c4d5e6f7a8b"})
    manifest.write(Manifest(manifest.SCHEMA, "base", train), folder / manifest.NAME)
    text = config.read_text().replace(
        'model = "s"\nstrategy = "similar"', 'model = "s"\nmanifest = "."'
    )
    config.write_text(text + '[personas]\nnotes = "notes.jsonl"\n')
    ended = command("proxy", "check", "--config", config)
    assert ended.returncode == 0
    said = " ".join(ended.stderr.split())
    assert f"(1a2b3c4d5e6f...) than `personas.notes` ({served[:12]}...)" in said
    config.write_text(
        config.read_text().replace('manifest = "."', 'manifest = "."\nstrategy = "similar"')
    )
    said = command("proxy", "check", "--config", config).stderr
    assert "1a2b3c4d5e6f" not in said, "by another strategy, other contexts are what was asked for"
