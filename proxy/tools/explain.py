"""How each member was trained and is asked, as `its-proxy check --explain` shows it."""

from typing import Any

from its.cli import Column, Sheet
from its.manifest import CoDesign
from its.strategies import adds_context

from ..base.sampling import defaults
from ..config.settings import Member, Settings

RULE = """
A checkpoint trained with a context must be asked with one, of any kind; one trained without must be
asked without. In one stage only, a context makes the answers worse (arXiv 2508.13654)."""


HEADS = ("member", "trained with", "asked with", "context stands", "co-design")


def table(settings: Settings) -> Sheet:
    """Return a table with a row for each member; a mismatch is shown, not refused."""
    columns = [
        Column(HEADS[0], text=True), Column(HEADS[1], text=True, missing="? (no manifest)"),
        Column(HEADS[2], text=True),
        Column(HEADS[3], "{} the question".format, text=True), Column(HEADS[4], text=True),
    ]  # fmt: skip
    return Sheet("", columns, [_row(member) for member in settings.members.values()])


def panels(settings: Settings) -> Sheet:
    """Return a table with a row for each panel."""
    columns = [
        Column("panel", text=True), Column("method", text=True),
        Column("members", text=True), Column("at most, calls"),
    ]  # fmt: skip
    rows = [[panel.name, panel.method, ", ".join(panel.members), panel.most_calls]
            for panel in settings.panels.values()]  # fmt: skip
    return Sheet("", columns, rows)


def as_json(settings: Settings) -> dict[str, Any]:
    """Return what is served as JSON has it."""
    names = [head.replace(" ", "_").replace("-", "_") for head in HEADS]
    members = [dict(zip(names, _row(each), strict=True)) for each in settings.members.values()]
    made = [
        {"panel": panel.name, "method": panel.method, "members": list(panel.members),
         "most_calls": panel.most_calls}
        for panel in settings.panels.values()
    ]  # fmt: skip
    return {"members": members, "panels": made}


def _row(member: Member) -> list[str | None]:
    trained = member.manifest.train.strategy if member.manifest else None
    stands = member.layout.placement if adds_context(member.strategy) else None
    return [member.name, trained, member.strategy, stands, _co_design(member)]


def _co_design(member: Member) -> str:
    told = member.own_co_design.value
    if member.own_co_design is CoDesign.MISMATCH:
        told += ", allowed" if member.allow_mismatch else ": refused"
    return told


def added(member: Member) -> list[tuple[str, str]]:
    """Return what the proxy adds to a question besides the context: what it is, and its text."""
    layout = member.layout
    texts = [
        ("the system text", layout.system),
        (f"the instruction, {layout.instruction_placement} the question", layout.instruction),
        ("sampling, where a request leaves it open",
         ", ".join(f"{name} {value}" for name, value in defaults(member, {}).items())),
    ]  # fmt: skip
    return [(what, text) for what, text in texts if text]
