"""`its-eval` as the tests of the harness use it: in this process, unless a process is the point."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import PLAIN, command

RUN = [sys.executable, "-m", "eval", "run"]
ENV = {**os.environ, **PLAIN}


def its_eval(*args: object) -> subprocess.CompletedProcess[str]:
    return command("eval", *args)


def its_eval_run(*args: object) -> subprocess.CompletedProcess[str]:
    return its_eval("run", *args)


def rows(folder: Path) -> list[dict[str, object]]:
    text = (folder / "samples.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.split("\n") if line]  # U+2028 may stand in a row


def problems(folder: Path, count: int = 6) -> Path:
    file = folder / "problems.jsonl"
    lines = [{"id": f"p{i}", "problem": f"What is {i} + 1?", "answer": i + 1} for i in range(count)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def run_args(folder: Path, url: str, model: str = "m", out: str = "out") -> list[object]:
    place = folder / out
    where = ["--base-url", f"{url}/v1", "--model", model, "--out", place]
    return [problems(folder, 3), *where, "--samples", 1]
