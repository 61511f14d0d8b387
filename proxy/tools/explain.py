"""How each member was trained and is asked, as `its-proxy check --explain` shows it."""

from rich.table import Table

from its.manifest import CoDesign
from its.strategies import adds_context

from ..base.sampling import defaults
from ..config.settings import Member, Settings

RULE = """
A checkpoint trained with a context must be asked with one, of any kind; one trained without must be
asked without. In one stage only, a context makes the answers worse (arXiv 2508.13654)."""


def table(settings: Settings) -> Table:
    """Return a table with a row for each member; a mismatch is shown, not refused."""
    shown = Table(box=None, pad_edge=False)
    for name in ("member", "trained with", "asked with", "context stands", "co-design"):
        shown.add_column(name)
    for member in settings.members.values():
        trained = member.manifest.train.strategy if member.manifest else "? (no manifest)"
        placement = f"{member.layout.placement} the question"
        stands = placement if adds_context(member.strategy) else "-"
        shown.add_row(member.name, trained, member.strategy, stands, _co_design(member))
    return shown


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
