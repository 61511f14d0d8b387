"""`its-proxy demo`: a real model, the proxy in front, a question, two votes and an evaluation.

Everything is done the way a user would do it: the proxy is `its-proxy serve` on a configuration
file, the questions go through the `openai` client, the evaluation is `its-eval`.
"""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from its import children
from its.strategies import PAPER

FOLDER = Path("runs") / "demo"
PROBLEMS = 12
STOP_SECONDS = 15.0

ARITHMETIC = (
    "A ferry carries 48 cars on each of its 7 crossings a day. 45 of the cars are red."
    " How many of the cars are not red?"
)
PRODUCT = "A box holds 14 jars. How many jars do 9 boxes hold?"
CONTEST = "Let $f(x) = x^2 + 3x$. Find $f(f(2))$."
INSTRUCTION = "\n\nReason step by step and put the final answer into \\boxed{}."

CONFIG = """\
# The demo's configuration: four members that differ in their context only, and a panel.
[engines.cpu]
embedded = {model}
max_concurrency = 64

{members}
[panels.vote3]
members = ["demo-s", "demo-u", "demo-r"]
early_stop = false   # the demo shows what everybody said
"""
MEMBER = """\
[members.demo-{initial}]
engine = "cpu"
model = {name}
strategy = "{strategy}"
"""


class DemoError(Exception):
    """The demo could not go on; the message says at what."""


def run(model: Path, *, once: bool, port: int) -> None:
    """Show everything on `model`, a GGUF file; without `once` stay up until interrupted.

    Raises:
        DemoError: the proxy did not start, or the evaluation failed.
    """
    console = Console()
    FOLDER.mkdir(parents=True, exist_ok=True)
    config = FOLDER / "panels.toml"
    config.write_text(_config(model.resolve()), "utf-8")
    # The client takes a second to import, about as long as the model takes to load.
    threading.Thread(target=_import_openai, daemon=True).start()
    console.print(f"[bold]1. Start[/] {escape(model.name)} behind the proxy ({config})")
    with _terminable(), _proxy(config, port) as base_url:
        demo = _Demo(console, base_url)
        demo.stream("demo-n", PRODUCT)
        demo.vote("3. The panel vote3, an arithmetic question", ARITHMETIC)
        demo.vote("4. The panel vote3, a contest question", CONTEST)
        demo.evaluate()
        if not once:
            demo.stay()


def _config(model: Path) -> str:
    def quoted(text: str) -> str:
        return tomlkit.string(text).as_string()

    members = "\n".join(
        MEMBER.format(initial=strategy[0], name=quoted(model.stem), strategy=strategy)
        for strategy in PAPER
    )
    return CONFIG.format(model=quoted(str(model)), members=members)


def _import_openai() -> None:
    import openai  # noqa: F401


@contextmanager
def _terminable() -> Iterator[None]:
    """Make a termination end the demo as Ctrl-C does: with its children."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _proxy(config: Path, port: int) -> Iterator[str]:
    """Run `its-proxy serve` as a child; yield its base URL."""
    process = subprocess.Popen(
        children.python("proxy", "serve", "--config", config, "--port", port),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=children.environment(),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("serving on "):
            said = process.stderr.read() if process.stderr else ""
            raise DemoError(f"the proxy did not start: {said.strip() or 'it said nothing'}")
        assert process.stderr is not None
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield line.removeprefix("serving on ").strip()
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Demo:
    """What is shown, in order."""

    def __init__(self, console: Console, base_url: str) -> None:
        import openai

        self.console, self.base_url = console, base_url
        self.client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)

    def stream(self, model: str, question: str) -> None:
        self.console.print(f"\n[bold]2. {model}, streamed, without a context[/]\n{question}\n")
        started = time.monotonic()
        stream = self.client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": question + INSTRUCTION}],
            temperature=0,
            max_tokens=256,
            stream=True,
            stream_options={"include_usage": True},
        )
        tokens = 0
        for chunk in stream:
            tokens = chunk.usage.completion_tokens if chunk.usage else tokens
            for choice in chunk.choices:
                self.console.out(choice.delta.content or "", end="", style="cyan", highlight=False)
        seconds = time.monotonic() - started
        self.console.print(f"\n[dim]{tokens} tokens, {seconds:.1f} s[/]")

    def vote(self, title: str, question: str) -> None:
        self.console.print(f"\n[bold]{title}[/]\n{question}\n")
        started = time.monotonic()
        answer = self.client.chat.completions.create(
            model="vote3",
            messages=[{"role": "user", "content": question + INSTRUCTION}],
            temperature=0,
            max_tokens=232,
            extra_body={"input_time": {"return_ballots": True}},
        )
        verdict = (answer.model_extra or {})["input_time"]
        self.console.print(_ballots(verdict))
        tokens = answer.usage.completion_tokens if answer.usage else 0
        self.console.print(_tally(verdict))
        self.console.print(f"[dim]{tokens} tokens, {time.monotonic() - started:.1f} s[/]")

    def evaluate(self) -> None:
        self.console.print(
            f"\n[bold]5. {PROBLEMS} two-step word problems of our own[/], through demo-n, and"
            " through vote3, whose ballots give its members as well\n"
        )
        folders = [self._run(model) for model in ("demo-n", "vote3")]
        report = children.python("eval", "report", *folders)
        if subprocess.run(report, env=children.environment()).returncode:
            raise DemoError("its-eval report failed")
        self.console.print(
            f"{PROBLEMS} problems prove nothing: the intervals say how little. The model was never"
            "\ntrained with a context, so nothing is to be gained by one here; what is shown is"
            " the machinery."
        )

    def _run(self, model: str) -> str:
        folder = str(FOLDER / model)
        words = ["run", "arith", "--limit", str(PROBLEMS), "--base-url", self.base_url]
        words += ["--model", model, "--max-tokens", "224", "--out", folder, "--fresh"]
        self.console.print(f"[dim]its-eval {' '.join(words)}[/]", soft_wrap=True)
        # Its own table is left out: one table over both runs follows.
        command, env = children.python("eval", *words), children.environment()
        if subprocess.run(command, stdout=subprocess.DEVNULL, env=env).returncode:
            raise DemoError(f"its-eval run failed on {model}; {folder} has what was done")
        return folder

    def stay(self) -> None:
        self.console.print(
            "\n[bold]6. Yours[/] until Ctrl-C. Paste into Python:\n\n"
            f'  client = openai.OpenAI(base_url="{self.base_url}", api_key="none");'
            ' client.chat.completions.create(model="vote3", messages=[...])\n',
            soft_wrap=True,
        )
        signal.pause()


def _ballots(verdict: Mapping[str, Any]) -> Table:
    table = Table(show_lines=True)
    table.add_column("member")
    table.add_column("context", ratio=1)
    table.add_column("answer")
    table.add_column("tokens", justify="right")
    table.add_column("s", justify="right")
    for ballot in verdict["ballots"]:
        table.add_row(
            f"{ballot['member']}\n[dim]{ballot['strategy']}[/]",
            f"[dim]{escape(ballot['domain'] or '')}[/]\n{escape(ballot['persona'] or '')}",
            escape(ballot.get("answer") or "(none)"),
            str((ballot.get("usage") or {}).get("completion_tokens", "")),
            f"{ballot.get('seconds', 0):.1f}",
        )
    return table


def _tally(verdict: Mapping[str, Any]) -> str:
    votes = [
        f"[bold]{escape(v['answer'])}[/] ×{v['votes']} ({', '.join(v['members'])})"
        for v in verdict["votes"]
    ]
    abstained = f"   abstained {verdict['abstained']}" if verdict["abstained"] else ""
    winner = votes[0].split("[/]")[0] + "[/]" if votes else "nobody has an answer"
    return f"tally: {'   '.join(votes) or '-'}{abstained}\nwinner: {winner} ({verdict['winner']})"
