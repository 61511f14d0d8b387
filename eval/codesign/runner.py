"""Does the steps of a plan: what is done is skipped, what fails says where to look."""

import json
import operator
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import tenacity
from filelock import FileLock, Timeout
from rich.console import Console

from its.files import atomic_write

from ..commit import commit
from ..errors import EvalError
from .guard import ENDS_WITHIN
from .plan import ExperimentPlan
from .step import PYTHON, Command, ExperimentStep, ServerProcess

TAIL = 15
"""Lines of a log that an error shows."""

PAUSE = 0.5
"""Seconds between two looks at a port."""

FREE_WITHIN = 30.0
"""Seconds that a port may still be taken by a server of a run just killed."""


class ExperimentRunner:
    """A run folder: results, logs, and the plan that they belong to."""

    def __init__(self, out: Path, root: Path, console: Console) -> None:
        self.out, self.root, self.console = out, root, console
        self.results, self.logs = out / "results", out / "logs"

    def run(self, plan: ExperimentPlan, steps: Sequence[ExperimentStep]) -> None:
        """Do those of a plan's steps that are not done.

        Raises:
            EvalError: a command or a server failed, a variable that a command needs is not set, or
                the folder cannot be written or is of another plan.
        """
        unset = dict.fromkeys(name for step in steps for name in step.unset)
        if unset:
            names = ", ".join(unset)
            raise EvalError(f"the plan needs {names} in the environment; see docs/codesign.md", 1)
        try:
            for folder in (self.out, self.results, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.out / "lock", timeout=0):
                self._require_same(plan)
                self._announce(plan, len(steps))
                for number, step in enumerate(steps, 1):
                    self._step(step, f"[{number}/{len(steps)}] {step.name}")
        except Timeout:
            raise EvalError(f"{self.out}: another process is at work here", 1) from None
        except OSError as error:
            raise EvalError(
                f"cannot write {error.filename or self.out}: {error.strerror}", 1
            ) from error

    def _announce(self, plan: ExperimentPlan, steps: int) -> None:
        hours = f"; hours for the whole plan: {plan.hours}" if plan.hours else ""
        said = f"{plan.name}: {steps} step{'s' * (steps != 1)} in {self.out}{hours}"
        self.console.print(said, markup=False, highlight=False, soft_wrap=True)

    def _require_same(self, plan: ExperimentPlan) -> None:
        measured = msgspec.structs.replace(plan, hours="")  # words about it do not make it another
        file, trained_by = self.out / "plan.json", self.root / plan.train.file
        whole = msgspec.to_builtins(measured)
        whole["train"]["file_sha256"] = sha256(trained_by.read_bytes()).hexdigest()
        encoded = msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()
        text = _placeless(encoded, self.out).encode()
        if file.exists() and file.read_bytes() != text:
            raise EvalError(
                f"{file} is another plan or of another {plan.train.file}: choose another --out, or"
                " delete that folder",
                1,
            )
        atomic_write(file, text)

    def _step(self, step: ExperimentStep, title: str) -> None:
        record, wanted = self.results / f"{step.name}.json", digest(step, self.out)
        if _recorded(record) == wanted:
            self._restore(record)
            self.console.print(f"{title}: done before", style="dim", markup=False)
            return
        began = time.monotonic()
        with self.console.status(f"{title} ..."):
            self._done(step)
        seconds = time.monotonic() - began
        about = {
            "step": step.name, "digest": wanted, "seconds": round(seconds, 1),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(),
            "commands": [str(command) for command in step.commands],
            "results": {str(path.relative_to(self.out)): _small(path) for path in step.keep
                        if path.is_relative_to(self.out)},
        }  # fmt: skip
        atomic_write(record, _placeless(json.dumps(about, indent=2), self.out) + "\n")
        self.console.print(f"{title}: {seconds / 60:.1f} min", markup=False)

    def _restore(self, record: Path) -> None:
        """Write small results that are gone from their record: records alone can move a run."""
        for name, found in json.loads(record.read_bytes())["results"].items():
            path = self.out / name
            if found is not None and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(path, json.dumps(found, indent=2) + "\n")

    def _done(self, step: ExperimentStep) -> None:
        for path, text in step.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        log = self.logs / f"{step.name}.log"
        with ExitStack() as stack, log.open("ab") as out:
            for server in step.servers:
                stack.enter_context(self._serving(server, step.name))
            for command in step.commands:
                out.write(f"\n$ {command}\n".encode())
                out.flush()
                self._command(command, out, f"{step.name} failed", log)

    def _command(self, command: Command, out: Any, failed: str, log: Path) -> None:
        with ExitStack() as stack:
            printed = stack.enter_context(command.output.open("wb")) if command.output else out
            process = self._start(command, printed, out)
            try:
                code = process.wait()
            finally:
                end(process)
        if code:
            raise EvalError(f"{failed} (status {code}); {log} ends with:\n{tail(log)}", 1)

    @contextmanager
    def _serving(self, server: ServerProcess, step: str) -> Iterator[None]:
        log = self.logs / f"{step}.{server.name}.log"
        if isinstance(server.model, Path) and not server.model.exists():
            raise EvalError(
                f"{server.name}: {server.model} is not there; --dry-run shows which step makes it",
                1,
            )
        if not wait_until(lambda: not _taken(server.url), FREE_WITHIN):
            message = f"{server.url} is taken by another server: change `port` of the plan"
            raise EvalError(message, 1)
        with log.open("ab") as out:
            process = self._start(server.command, out, out)
            try:
                wait_until(
                    lambda: process.poll() is not None or _answers(server.url),
                    server.starts_within,
                )
                if process.poll() is not None or not _answers(server.url):
                    why = "ended" if process.poll() is not None else "was not there in time"
                    message = f"{server.name} {why} ({server.command}); {log} ends with:"
                    raise EvalError(f"{message}\n{tail(log)}", 1)
                yield
            finally:
                end(process)

    def _start(self, command: Command, out: Any, errors: Any) -> subprocess.Popen[bytes]:
        path = f"{Path(PYTHON).parent}:{os.environ.get('PATH', '')}"
        # The parts are run from this tree, whatever is installed; training reads a plugin of it.
        env = {**os.environ, "PATH": path, "PYTHONPATH": str(self.root), "COLUMNS": "120"}
        guarded = [PYTHON, "-P", "-m", "eval.codesign.guard", str(os.getpid()), *command.argv]
        return subprocess.Popen(
            guarded, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=env, cwd=self.root,
            start_new_session=True,
        )  # fmt: skip


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Ask twice a second whether something is true; `False` if it is not within `seconds`."""
    asking = tenacity.Retrying(
        retry=tenacity.retry_if_result(operator.not_),
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(PAUSE),
        retry_error_callback=lambda _: False,
    )
    return asking(true)


def digest(step: ExperimentStep, out: Path) -> str:
    """Return the hash of all that a step does, wherever the run folder `out` is."""
    said = [*step.lines, str(sorted(map(str, step.files.items())))]
    return sha256(_placeless("\n".join(said), out).encode()).hexdigest()


def _placeless(text: str, out: Path) -> str:
    """Return `text` as any other folder, clone and place of the data would have it."""
    data = {value: f"${name}" for name, value in os.environ.items()
            if name.startswith("ITS_") and value.startswith("/")}  # fmt: skip
    places = {**data, str(Path(__file__).parents[2]): "ROOT", str(out): "OUT"}
    for place in sorted(places, key=len, reverse=True):  # one may be inside another
        text = text.replace(place, places[place])
    return text


def end(process: subprocess.Popen[bytes]) -> None:
    """End a guarded command and all that it started."""
    process.terminate()
    try:
        process.wait(3 * ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(log: Path) -> str:
    """Return the last lines of a log, as a terminal would have shown them."""
    lines = log.read_text("utf-8", errors="replace").splitlines()
    return "\n".join(line.rpartition("\r")[2][:300] for line in lines[-TAIL:])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _taken(url: str) -> bool:
    """Say whether anything listens there, whatever it speaks."""
    place = httpx.URL(url)
    with socket.socket() as probe:
        probe.settimeout(10)
        return probe.connect_ex((place.host, place.port or 80)) == 0


def _recorded(record: Path) -> str | None:
    """Return the digest of what was done; a record that is not there, or damaged, is of nothing."""
    try:
        return str(json.loads(record.read_bytes())["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _small(path: Path) -> Mapping[str, Any] | None:
    """Return a result; a file that is not there is no result."""
    return json.loads(path.read_bytes()) if path.exists() else None
