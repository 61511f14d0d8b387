"""`its-eval` as a process: over both SDKs that people have, on terminals and data of every kind."""

import json
import os
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse

from tests.conftest import MEMBERS, PLAIN, ROOT, Proxy
from tests.environments import environment
from tests.eval.harness import its_eval_run, problems, rows, run_args
from tests.scripted import Body, Engine, chunk, says, streams, usage

SDKS = ["2.8.0", "3.54.0"]
"""Over httpx, and over httpx2."""


def run_with_sdk(version: str, *args: object) -> subprocess.CompletedProcess[str]:
    python = environment("openai", version)
    place = python.parent.parent / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    # The SDK of that version, with the transport that it brings, stands before our own.
    env = {**os.environ, **PLAIN, "PYTHONPATH": str(place)}
    line = [sys.executable, "-m", "eval", "run", *map(str, args)]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=env, timeout=60)


@pytest.mark.parametrize("version", SDKS)
def test_cut_streams_and_odd_lines_over_both_sdks(
    version: str, engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    text = "So\u2028it\u2029is\x85 \\boxed{3}"
    event = json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False)
    odd = [b"data: " + event.encode() + b"\n\n", chunk(finish_reason="stop")]

    async def cut() -> Any:
        yield chunk(delta={"content": "so"})
        raise ConnectionError("the engine died")

    def answer(body: Body) -> Response:
        if len(engine.received) == 2:
            return StreamingResponse(cut(), media_type="text/event-stream")
        return streams(odd)(body)

    engine.scripts["m"] = answer
    ended = run_with_sdk(version, *run_args(tmp_path, engine_url), "--concurrency", 1)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert {row["text"] for row in rows(tmp_path / "out")} == {text}
    assert len(engine.received) == 4
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["versions"]["openai"] == version


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
@pytest.mark.parametrize("model", ["s", "vote3"])
def test_odd_lines_through_the_proxy(
    model: str, separator: str, engine: Engine, start: Proxy, tmp_path: Path
) -> None:
    text = f"So{separator}it is \\boxed{{3}}"
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}, ensure_ascii=False)
    end = chunk(finish_reason="stop") + chunk(usage=usage(9, 5)) + b"data: [DONE]\n\n"
    stream = streams([b"data: " + event.encode() + b"\n\n", end])

    def answer(body: Body) -> Response:
        return (stream if body.get("stream") else says(text))(body)

    engine.scripts.update(dict.fromkeys("sur", answer))
    url = str(start(MEMBERS).base_url).rstrip("/")
    ended = its_eval_run(*run_args(tmp_path, url, model), "--retries", 0)
    assert ended.returncode == 0, ended.stderr
    assert {row["text"] for row in rows(tmp_path / "out")} == {text}
    calls = 3 if model == "vote3" else 1
    assert len(engine.received) == 3 * calls, "each was paid for once"


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}]
)
def test_terminals_that_cannot_show_a_text(
    env: dict[str, str], engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    name = "modèle\u2014七"
    engine.scripts[name] = says("七 \\boxed{3}")
    args = ["--base-url", f"{engine_url}/v1", "--model", name, "--out", tmp_path / "øut"]
    line = [sys.executable, "-m", "eval", "run", problems(tmp_path, 3), *args]
    ended = subprocess.run(
        list(map(str, line)), capture_output=True, cwd=ROOT, timeout=60,
        env={**os.environ, **PLAIN, **env},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert b"mod" in ended.stdout
    assert len(rows(tmp_path / "øut")) == 3


@pytest.mark.parametrize("option", [(), ("--system", "half \ud83d")])
def test_half_of_a_surrogate_pair_is_a_message(
    option: tuple[str, ...], engine: Engine, engine_url: str, tmp_path: Path
) -> None:
    """In a question, or in an argument, as a terminal of another encoding gives it."""
    engine.scripts["m"] = says(r"\boxed{3}")
    file = tmp_path / "p.jsonl"
    question = "1 + 2?" if option else "half \ud83d of a pair: 1 + 2?"
    file.write_text(json.dumps({"id": "a", "problem": question, "answer": "3"}) + "\n")
    args = [file, "--base-url", f"{engine_url}/v1", "--model", "m", "--out", tmp_path / "o"]
    ended = its_eval_run(*args, *option)
    assert ended.returncode in {1, 2}
    assert "surrogate" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_engine_that_comes_back_after_a_kill(tmp_path: Path) -> None:
    """Connections are refused meanwhile; the run waits, and nothing is lost or asked twice."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", DIES, str(port)], cwd=ROOT)

    first = started()
    later: list[subprocess.Popen[bytes]] = []

    def restart() -> None:
        first.wait()
        time.sleep(1)
        later.append(started())

    keeper = threading.Thread(target=restart)
    keeper.start()
    try:
        wait_for(port)
        where = run_args(tmp_path, f"http://127.0.0.1:{port}")
        ended = its_eval_run(*where, "--concurrency", 1, "--retries", 1)
    finally:
        first.kill()
        keeper.join()
        later[0].kill()
        later[0].wait()
    assert ended.returncode == 0, ended.stderr
    assert len(rows(tmp_path / "out")) == 3


DIES = """
import asyncio, os, sys
from tests.scripted import chunk
async def serve(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    body, kind = b'{"data": []}', b"application/json"
    if head.startswith(b"POST"):
        asked.append(1)
        body = chunk(delta={"content": "7"}) + chunk(finish_reason="stop")
        kind = b"text/event-stream"
    length = 9999 if len(asked) == 3 else len(body)
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Type: " + kind + b"\\r\\nConnection: close\\r\\n")
    writer.write(b"Content-Length: %d\\r\\n\\r\\n" % length + body)
    await writer.drain()
    if length == 9999:
        os._exit(1)
    writer.close()
asked = []
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""
"""Answers two calls, and dies in the middle of the third."""


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as looking:
            if looking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the server did not start")
