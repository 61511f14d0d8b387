"""`its-proxy demo`: a real model, the proxy in front, a question, two votes and an evaluation.

Everything is done the way a user would do it: the proxy is `its-proxy serve` on a configuration
file, the questions go through its API, the evaluation is `its-eval`.
"""

import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from rich.console import Console
from rich.text import Text

from its import children
from its.strategies import PAPER

from . import shown
from .client import Asker
from .served import served, terminable

FOLDER = Path("runs") / "demo"
PORT = 8000
PROBLEMS = 12

INSTRUCTION = "\n\nReason step by step and put the final answer into \\boxed{}."


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the tour, with its right answer."""

    text: str
    right: str

    @property
    def messages(self) -> list[Any]:
        return [{"role": "user", "content": self.text + INSTRUCTION}]


PRODUCT = Question("A box holds 14 jars. How many jars do 9 boxes hold?", "126")
ARITHMETIC = Question(
    "A ferry carries 48 cars on each of its 7 crossings a day. 45 of the cars are red."
    " How many of the cars are not red?",
    "291",
)
CONTEST = Question("Let $f(x) = x^2 + 3x$. Find $f(f(2))$.", "130")

TOKENS_LEFT = 2 * 3 * 150 + 4 * PROBLEMS * 130
"""About how many tokens the votes and the evaluation write."""

AT_ONCE = 2.5
"""How much faster eight slots write than one, on two cores."""

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

SNIPPET = """\
import openai

client = openai.OpenAI(
    base_url="{base_url}", api_key="none"
)
answer = client.chat.completions.create(
    model="vote3",
    messages=[{{"role": "user", "content": {question}}}],
)
print(answer.choices[0].message.content)
"""
CURL = """\
curl {base_url}/chat/completions \\
  -H 'content-type: application/json' \\
  -d '{{"model": "vote3", "messages":
       [{{"role": "user", "content": {question}}}]}}'
"""
YOURS = "What is 17 * 3 + 4?"

WHY_RUNS_DIFFER = (
    "Each call takes the likeliest token (temperature 0), and still two runs may differ: llama.cpp"
    " computes the calls that run at the same time as one batch, and the size of the batch changes"
    " the last digits of its sums. Where two tokens are almost equally likely, that decides."
)


class DemoError(Exception):
    """The demo could not go on; the message says at what."""


def run(model: Path, *, once: bool, tour: bool, port: int | None) -> None:
    """Show everything on `model`, a GGUF file; without `once` stay up until interrupted.

    Without `tour` the servers start, and nothing is asked. Without a `port` it is 8000 if that is
    free and the servers stay up, else any.

    Raises:
        DemoError: the evaluation failed.
        ServeError: the proxy did not start.
        AskError: it refused a question.
    """
    console = Console()
    FOLDER.mkdir(parents=True, exist_ok=True)
    config, log = FOLDER / "panels.toml", FOLDER / "proxy.log"
    config.write_text(_config(model.resolve()), "utf-8")
    if port is None:
        port = 0 if once else _free_port()
    started = time.monotonic()
    _heading(console, "1. Start", f"{model.name} behind the proxy")
    with terminable(), served(config, port, log) as base_url:
        _say_where(console, base_url, time.monotonic() - started, log)
        if tour:
            with Asker(base_url) as client:
                _Tour(console, base_url, client).go()
        if not once:
            _stay(console, base_url, log, "6. Yours" if tour else "2. Yours")


def _config(model: Path) -> str:
    def quoted(text: str) -> str:
        return tomlkit.string(text).as_string()

    members = "\n".join(
        MEMBER.format(initial=strategy[0], name=quoted(model.stem), strategy=strategy)
        for strategy in PAPER
    )
    return CONFIG.format(model=quoted(str(model)), members=members)


def _free_port() -> int:
    """Return the port that the documentation names if it is free, else 0: any."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT


def _heading(console: Console, title: str, rest: str = "") -> None:
    console.print(Text.assemble((title, "bold"), f" {rest}"))


def _say_where(console: Console, base_url: str, seconds: float, log: Path) -> None:
    page = base_url.removesuffix("v1")
    console.print(f"   ready in {seconds:.1f} s", highlight=False)
    console.print(f"   [bold]{page}[/]  open it in a browser", highlight=False)
    console.print(f"   configuration {log.parent / 'panels.toml'}, log {log}", style="dim")


class _Tour:
    """What is shown, in order."""

    def __init__(self, console: Console, base_url: str, client: Asker) -> None:
        self.console, self.base_url, self.client = console, base_url, client

    def go(self) -> None:
        told = self.ask("2. One model, streamed, without a context", "demo-n", PRODUCT, 256)
        self.estimate(told)
        self.ask("3. The panel vote3, an arithmetic question", "vote3", ARITHMETIC, 232)
        self.ask("4. The panel vote3, a contest question", "vote3", CONTEST, 232)
        self.evaluate()

    def ask(self, title: str, model: str, question: Question, most: int) -> shown.ShownAnswer:
        self.console.print()
        _heading(self.console, title)
        self.console.print(question.text, markup=False, highlight=False)
        if model == "vote3":
            self.prompt("demo-s", question)
        self.console.print()
        fields = {"temperature": 0, "max_tokens": most}
        card = self.client.card(model)
        told = shown.ask(self.console, self.client, card, question.messages, fields)
        self.console.print(Text.assemble("right answer: ", (question.right, "bold green")))
        return told

    def prompt(self, member: str, question: Question) -> None:
        """Show what a member's engine is asked: its context, then the question."""
        composed = self.client.compose(member, question.messages)
        text = composed["messages"][-1]["content"]
        persona = composed["input_time"]["persona"]
        before, _, after = text.partition(persona)
        self.console.print(f"\nwhat {member} is asked (the others get other contexts):")
        self.console.print(Text.assemble(before, (persona, "yellow"), (after, "dim")))

    def estimate(self, told: shown.ShownAnswer) -> None:
        """Say how long the rest will take, by the speed of the first answer."""
        if told.tokens:
            seconds = TOKENS_LEFT / (AT_ONCE * told.tokens / told.seconds)
            told_in = f"{seconds / 60:.0f} minutes" if seconds >= 90 else "a minute"
            rate = f"{told.tokens / told.seconds:.0f} tokens a second"
            rest = f"at {rate}, the votes and the evaluation take about {told_in}"
            self.console.print(f"{rest}; Ctrl-C ends the demo", style="dim", highlight=False)

    def evaluate(self) -> None:
        self.console.print()
        _heading(self.console, f"5. {PROBLEMS} two-step word problems,")
        self.console.print("through demo-n, and through vote3, whose ballots give its members too")
        folders = [self._run(model) for model in ("demo-n", "vote3")]
        report = children.python("eval", "report", *folders)
        if subprocess.run(report, env=children.environment()).returncode:
            raise DemoError("its-eval report failed")
        self.console.print(
            f"{PROBLEMS} problems prove nothing: the intervals say how little. The model was never"
            " trained with a context, so one gains nothing here; the demo shows the machinery."
        )
        self.console.print(WHY_RUNS_DIFFER, style="dim", highlight=False)

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


def _stay(console: Console, base_url: str, log: Path, title: str) -> None:
    """Say how to ask, then show the proxy's log until Ctrl-C."""
    question = json.dumps(YOURS)
    python = children.shown(sys.executable)
    command = Path(sys.executable).with_name("its-proxy")
    program = children.shown(str(command)) if command.exists() else "its-proxy"
    texts = [
        f"In a terminal:\n\n{program} ask --base-url {base_url} {question}\n",
        CURL.format(base_url=base_url, question=question),
        f"In Python ({python}):\n\n{SNIPPET.format(base_url=base_url, question=question)}",
        f"Requests as they come ({log}):",
    ]
    console.print()
    _heading(console, title, "until Ctrl-C")
    for text in texts:  # plain, and never broken at the terminal's width: to be pasted
        console.out(text, highlight=False)
    try:
        _follow(console, log)
    except KeyboardInterrupt:
        console.print("\nstopped", style="dim")


def _follow(console: Console, log: Path) -> None:
    with log.open(encoding="utf-8") as file:
        file.seek(0, 2)
        while True:
            if line := file.readline():
                console.out(line.rstrip("\n"), style="dim", highlight=False)
            else:
                time.sleep(0.2)
