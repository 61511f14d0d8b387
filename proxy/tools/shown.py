"""What a terminal shows of a question: the answer as it comes, members, tally and winner."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .client import Asker

NARROW = 76
"""Columns below which a table of members would break every word: they are listed instead."""


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """An answer that was shown: its text, `input_time` (a panel's verdict), tokens, seconds."""

    text: str
    input_time: Mapping[str, Any]
    tokens: int
    seconds: float


def ask(
    console: Console, client: Asker, card: Mapping[str, Any], messages: list[Any],
    fields: Mapping[str, Any],
) -> ShownAnswer:  # fmt: skip
    """Ask one model; show its answer as it comes and, of a panel, who said what and who won.

    Raises:
        AskError: the proxy refuses, or the stream breaks.
    """
    about = card.get("input_time") or {}
    panel = about.get("kind") == "panel"
    asked = {**fields, "input_time": {"return_ballots": True} if panel else {}}
    told = _stream(console, client, str(card["id"]), _waiting(card["id"], about), messages, asked)
    if panel:
        show_verdict(console, told.input_time)
    elif persona := told.input_time.get("persona"):
        strategy = told.input_time.get("strategy")
        console.print(f"context ({strategy}): {persona}", style="dim", markup=False)
    console.print(f"{told.tokens} tokens, {told.seconds:.1f} s", style="dim", highlight=False)
    return told


def _waiting(name: str, about: Mapping[str, Any]) -> str:
    if about.get("kind") != "panel":
        return f"{name} answers"
    members = ", ".join(member["member"] for member in about["members"])
    return f"{name} asks {members}"


def _stream(
    console: Console, client: Asker, model: str, waiting: str, messages: list[Any],
    fields: Mapping[str, Any],
) -> ShownAnswer:  # fmt: skip
    started, text, tokens = time.monotonic(), "", 0
    verdict: Mapping[str, Any] = {}
    pieces = client.ask(model, messages, **fields)
    with spinner(console, waiting):
        first = next((piece for piece in pieces if _shows(piece)), None)
    for piece in () if first is None else _after(first, pieces):
        console.out(piece.thought, end="", style="dim", highlight=False)
        console.out(piece.text, end="", style="cyan", highlight=False)
        text += piece.text
        verdict = piece.input_time or verdict
        tokens = piece.tokens or tokens
    console.print()
    return ShownAnswer(text, verdict, tokens, time.monotonic() - started)


def _shows(piece: Any) -> bool:
    return bool(piece.text or piece.thought or piece.input_time)


def _after(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


@contextmanager
def spinner(console: Console, label: str) -> Iterator[None]:
    """Show that something runs, and for how long; nothing of it stays, and a pipe sees nothing."""
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        progress.add_task(label, total=None)
        yield


def show_verdict(console: Console, verdict: Mapping[str, Any]) -> None:
    """Show each member's context and answer, the tally, and the winner."""
    rows = [_row(ballot) for ballot in verdict.get("ballots") or ()]
    if console.width < NARROW:
        for member, context, answer, tokens, seconds in rows:
            name = " ".join(member.plain.split("\n"))
            used = f"  {tokens} tokens, {seconds} s" if tokens else ""
            console.print(Text.assemble(name, ": ", answer, (used, "dim")))
            console.print(context)
    else:
        table = Table(show_lines=True)
        table.add_column("member")
        table.add_column("context", ratio=1)
        for name, justify in (("answer", "left"), ("tokens", "right"), ("s", "right")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print(tally(verdict), soft_wrap=True, highlight=False)


def _row(ballot: Mapping[str, Any]) -> tuple[Text, Text, Text, str, str]:
    domain, persona = ballot.get("domain") or "", ballot.get("persona") or ""
    context = f"{domain}\n{persona}" if domain else persona or "(none)"
    outcome = ballot.get("outcome", "ok")
    answer = ballot.get("answer") or ("(none)" if outcome == "ok" else f"({outcome})")
    return (
        Text.assemble(ballot["member"], (f"\n{ballot['strategy']}", "dim")),
        Text(context, "dim"),
        Text(str(answer), "bold"),
        str((ballot.get("usage") or {}).get("completion_tokens", "")),
        f"{ballot['seconds']:.1f}" if ballot.get("seconds") else "",
    )


def tally(verdict: Mapping[str, Any]) -> str:
    """Return the tally and the winner, as rich's markup."""
    votes = [
        f"[bold]{escape(v['answer'])}[/] ×{v['votes']} ({escape(', '.join(v['members']))})"
        for v in verdict.get("votes") or ()
    ]
    abstained = f"   abstained {verdict['abstained']}" if verdict.get("abstained") else ""
    failed = f"   failed {verdict['failed']}" if verdict.get("failed") else ""
    by = verdict.get("winner")
    if not votes:
        winner = f"no answer could be read; the reply is {escape(str(by))}'s" if by else "nobody"
    else:
        best = next((v for v in verdict["votes"] if by in v["members"]), verdict["votes"][0])
        winner = f"[bold]{escape(best['answer'])}[/] ({escape(str(by))})"
    tie = "   a tie: the first member's answer" if verdict.get("decided") is False else ""
    tie = tie if len(votes) > 1 else ""
    return f"tally: {'   '.join(votes) or '-'}{abstained}{failed}\nwinner: {winner}{tie}"
