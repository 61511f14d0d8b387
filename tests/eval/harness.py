"""`its-eval` as the tests of the harness use it: in this process, unless a process is the point."""

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from eval.__main__ import main
from tests.conftest import PLAIN, ROOT

RUN = [sys.executable, "-m", "eval", "run"]
ENV = {**os.environ, **PLAIN}


def its_eval(*args: object) -> subprocess.CompletedProcess[str]:
    """Run a command line of `its-eval` here; return what `tests.conftest.command` would."""
    line = ["its-eval", *map(str, args)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    with (
        mock.patch.object(sys, "argv", line), mock.patch.dict(os.environ, PLAIN), chdir(ROOT),
        redirect_stdout(out), redirect_stderr(err),
    ):  # fmt: skip
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())


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
    return [problems(folder, 3), "--base-url", f"{url}/v1", "--model", model, "--out", place]
