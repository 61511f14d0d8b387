"""Do other harnesses give the verdicts that `its-eval` gives? `make peers` prints the table.

30 problems, one engine, the same prompts, greedily, one call at a time. `its-eval` asks through a
proxy, the others directly. Each answer of the engine is recorded by its prompt and given to whoever
asks it again, so that all harnesses grade the same texts; a harness that sends another prompt is
found by that. The engine is the embedded one with Qwen2.5-Coder-0.5B; the cache keeps its answers.
With --recorded the answers are those in a file of rows {problem_id, text, gold}, of any models.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from starlette.responses import JSONResponse, Response, StreamingResponse

from eval.samples import RunFolder
from eval.tasks.hub import INSTRUCTION
from eval.tasks.load import Task, load
from eval.tasks.problem import Problem
from its.cache import folder as cache
from proxy.api.app import create_app
from proxy.config.load import load as load_config
from proxy.serving.connection import Connection
from proxy.tools.models import find
from tests.peers.harnesses import MODEL, PEERS, TOKENS, PeerVerdict, Verdicts
from tests.scripted import NO_TLS, Body, Engine, chunk, completion, serving

PROBLEMS = 30

EMBEDDED = """
[engines.e]
embedded = "{model}"
[members.n]
engine = "e"
model = "n"
strategy = "none"
"""
BEFORE_RECORD = """
[engines.e]
base_url = "{url}/v1"
[members.m]
engine = "e"
model = "m"
strategy = "none"
"""


class Record:
    """The engine's answers by their prompts; what is not there yet is asked for and kept."""

    def __init__(self, file: Path, upstream: str | None) -> None:
        self._file, self._upstream = file, upstream
        self.asked: list[str] = []
        """The prompt's hash of each call, in order."""
        rows = map(json.loads, file.read_text("utf-8").splitlines()) if file.exists() else ()
        self._known: dict[str, str] = {row["prompt"]: row["text"] for row in rows}

    def know(self, prompt: str, text: str) -> None:
        """Take an answer over that was recorded elsewhere."""
        self._known[_key([{"role": "user", "content": prompt}])] = text

    def script(self, body: Body) -> Response:
        """Answer as the engine did, whole or as a stream."""
        key = _key(body["messages"])
        self.asked.append(key)
        if key not in self._known:
            self._known[key] = self._ask(body)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"prompt": key, "text": self._known[key]}) + "\n")
        text = self._known[key]
        if not body.get("stream"):
            return JSONResponse(completion(text))

        async def events() -> Any:
            yield chunk(delta={"role": "assistant", "content": text})
            yield chunk(finish_reason="stop")
            yield b"data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    def _ask(self, body: Body) -> str:
        if self._upstream is None:
            raise RuntimeError("a prompt that is not recorded was sent, and no engine is started")
        asked = {"model": "n", "messages": body["messages"], "max_tokens": TOKENS, "temperature": 0}
        answer = httpx.post(
            f"{self._upstream}/v1/chat/completions", json=asked, timeout=600, verify=NO_TLS
        )
        return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


def _key(messages: Sequence[Mapping[str, Any]]) -> str:
    said = [(message["role"], message["content"]) for message in messages]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@contextmanager
def proxy(config: str, place: Path) -> Iterator[str]:
    """Serve a proxy in this process."""
    file = place / "panels.toml"
    file.write_text(config)
    app = create_app(load_config(file))
    with serving(app, partial(Connection, app=app, seconds=600.0, stalled=600.0)) as url:
        yield url


def its_eval(data: Path, url: str, place: Path, instruction: str) -> Verdicts:
    """Run `its-eval` through a proxy."""
    with proxy(BEFORE_RECORD.format(url=url), place) as front:
        line = [
            sys.executable, "-m", "eval", "run", data, "--base-url", f"{front}/v1", "--model",
            MODEL, "--temperature", 0, "--samples", 1, "--max-tokens", TOKENS, "--concurrency", 1,
            "--instruction", instruction, "--out", place / "ours",
        ]  # fmt: skip
        done = subprocess.run(list(map(str, line)), capture_output=True, text=True, timeout=3600)
        if done.returncode:
            raise RuntimeError(done.stderr[-1500:])
    samples = RunFolder(place / "ours").outcomes().values()
    return {each.id: PeerVerdict(each.correct, each.answer) for each in samples}


def recorded(file: Path, record: Record, instruction: str) -> tuple[Problem, ...]:
    """Return problems whose answers are in a file, from all over it, one answer of each.

    Answers without a box were not asked for by this prompt, and are left out.
    """
    read = map(json.loads, file.read_text("utf-8").split("\n")[:-1])
    rows = {row["problem_id"]: row for row in read if "boxed" in row["text"]}
    found = []
    for key in sorted(rows)[:: max(1, len(rows) // PROBLEMS)][:PROBLEMS]:
        row = rows[key]
        problem = Problem(key, str(row.get("problem") or key), str(row["gold"]))
        record.know(f"{problem.problem}\n\n{instruction}", row["text"])
        found.append(problem)
    return tuple(found)


def compared(
    names: Sequence[str], record: Record, url: str, place: Path, file: Path | None
) -> dict[str, Verdicts]:
    """Return each harness's verdicts; say how many other prompts it sent."""
    task: Task = load("arith", data=None, seed=0)
    problems = task.problems[:PROBLEMS]
    if file is not None:
        problems = recorded(file, record, INSTRUCTION)
        task = replace(task, instruction=INSTRUCTION)
    data = place / "problems.jsonl"
    rows = [{"id": p.id, "problem": p.problem, "answer": p.answer} for p in problems]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {"its-eval": its_eval(data, url, place, task.instruction)}
    prompts = set(record.asked)
    for name in names:
        record.asked.clear()
        found[name] = PEERS[name](problems, task.instruction, f"{url}/v1", place)
        other = sum(key not in prompts for key in record.asked)
        print(f"{name}: {len(record.asked)} calls, {other} with another prompt", flush=True)
    return found


def table(found: dict[str, Verdicts]) -> str:
    """Return the counts of each harness, then every problem on which one differs from ours."""
    ours = found["its-eval"]
    lines = ["| harness | problems | right | no answer | as its-eval |", "|---|--:|--:|--:|--:|"]
    for name, verdicts in found.items():
        right = sum(each.correct for each in verdicts.values())
        silent = sum(each.answer is None for each in verdicts.values())
        same = sum(each.correct == ours[key].correct for key, each in verdicts.items())
        lines.append(f"| {name} | {len(verdicts)} | {right} | {silent} | {same} |")
    for name, verdicts in found.items():
        for key, each in verdicts.items():
            if each.correct != ours[key].correct:
                lines.append(f"{key}: {name} {each}, its-eval {ours[key]}")
    return "\n".join(lines)


def main() -> None:
    """Run all harnesses and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="append", choices=["none", *PEERS], help="all, if absent")
    parser.add_argument("--again", action="store_true", help="ask the engine anew")
    parser.add_argument("--recorded", type=Path, metavar="FILE", help="ask no engine")
    given = parser.parse_args()
    answers = cache() / "peers-answers.jsonl"
    if given.again:
        answers.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        place, upstream = Path(name), None
        if given.recorded is None:
            (place / "engine").mkdir()
            model = find("qwen2.5-coder-0.5b", lambda *_: None)
            config = EMBEDDED.format(model=model)
            upstream = stack.enter_context(proxy(config, place / "engine"))
        engine = Engine()
        url = stack.enter_context(serving(engine.app()))
        record = Record(answers, upstream)
        engine.scripts[MODEL] = record.script
        peers = [peer for peer in given.peer or PEERS if peer != "none"]
        print(table(compared(peers, record, url, place, given.recorded)))


if __name__ == "__main__":
    main()
