"""`its-proxy ask`: against a proxy that runs, or one that is started from the configuration."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import StreamingResponse

from tests.conftest import MEMBERS, command
from tests.proxy.asking import serving
from tests.scripted import Body, Engine, chunk, fails, says, speaks

ANSWERS = {"s": r"so \boxed{55}", "u": r"\boxed{55}", "r": r"\boxed{54}"}


@pytest.fixture
def asked(engine: Engine) -> Engine:
    engine.scripts.update({name: says(text) for name, text in ANSWERS.items()})
    return engine


def test_a_panel_shows_members_tally_and_winner(asked: Engine, proxy: httpx.Client) -> None:
    ended = command("proxy", "ask", "What is 17 * 3 + 4?", "--base-url", f"{proxy.base_url}/v1")
    assert ended.returncode == 0, ended.stderr
    assert "asking vote3" in ended.stdout, "the first panel, where no model is named"
    for text in ("similar", "unsimilar", "random", "55", "54", "tally: 55 ×2 (s, u)   54 ×1 (r)"):
        assert text in ended.stdout
    assert "winner: 55 (s)" in ended.stdout or "winner: 55 (u)" in ended.stdout
    assert asked.bodies("s")[0]["messages"][0]["content"].endswith("What is 17 * 3 + 4?")


@pytest.mark.parametrize("width", ["80", "60", "40"])
def test_a_narrow_terminal_breaks_no_answer(
    asked: Engine, proxy: httpx.Client, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.conftest.PLAIN", {"COLUMNS": width, "TERM": "dumb"})
    ended = command("proxy", "ask", "x", "--base-url", f"{proxy.base_url}/v1")
    assert "winner: 55" in ended.stdout
    assert "unsimilar" in ended.stdout


def test_a_member_is_shown_as_it_streams(engine: Engine, engine_url: str, tmp_path: Path) -> None:
    """The second token comes when the first has been read from the terminal."""
    import subprocess
    import sys

    from tests.conftest import PLAIN, ROOT

    seen = threading.Event()

    def script(_: Body) -> StreamingResponse:
        def events() -> Iterator[bytes]:
            yield chunk(delta={"content": "first"})
            assert seen.wait(60)
            yield chunk(delta={"content": " second"}, finish_reason="stop")
            yield b"data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    engine.scripts["n"] = script
    file = tmp_path / "panels.toml"
    file.write_text(MEMBERS.replace("{engine}", engine_url), "utf-8")
    with serving(file) as (_, url):
        argv = [sys.executable, "-u", "-m", "proxy", "ask", "x", "--base-url", url]
        asking = subprocess.Popen(
            [*argv, "--model", "n"], cwd=ROOT, env={**os.environ, **PLAIN}, stdout=subprocess.PIPE
        )
        assert asking.stdout is not None
        said = b""
        while b"first" not in said:
            piece = os.read(asking.stdout.fileno(), 1024)
            assert piece, said
            said += piece
        seen.set()
        said += asking.communicate(timeout=60)[0]
    assert b"first second" in said
    assert asking.returncode == 0


def test_a_proxy_is_started_from_the_configuration(
    engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    engine.scripts["n"] = speaks("4", "2")
    file = tmp_path / "panels.toml"
    file.write_text(MEMBERS.replace("{engine}", engine_url), "utf-8")
    ended = command(
        "proxy", "ask", "x", "--model", "n", env={**os.environ, "ITS_CONFIG": str(file)}
    )
    assert ended.returncode == 0, ended.stderr
    assert "42" in ended.stdout


def test_what_goes_wrong_is_one_line(asked: Engine, proxy: httpx.Client) -> None:
    base = f"{proxy.base_url}/v1"
    ended = command("proxy", "ask", "x", "--base-url", base, "--model", "vot3")
    assert ended.returncode == 1
    assert (
        "Unknown model 'vot3'. Did you mean 'vote3'? Available: n, s, u, r, vote3." in ended.stderr
    )
    asked.scripts["n"] = fails(400, {"message": "too long"})
    ended = command("proxy", "ask", "x", "--base-url", base, "--model", "n")
    assert ended.returncode == 1
    assert "too long" in ended.stderr
    ended = command("proxy", "ask", "x", "--base-url", "http://127.0.0.1:9/v1")
    assert "no proxy answers at http://127.0.0.1:9/v1" in ended.stderr
    assert "Start one with its-proxy serve" in ended.stderr
