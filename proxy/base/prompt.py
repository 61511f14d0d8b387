"""How a member is asked: what a request may change about it, and what came of that."""

from collections.abc import Mapping
from dataclasses import dataclass

from its.manifest import CoDesign
from its.types import Context, Layout, Placement

from ..config.settings import Member


@dataclass(frozen=True, slots=True)
class Override:
    """What a request may change about how it is asked; `None` keeps the member's own.

    An empty `instruction` means none.
    """

    strategy: str | None = None
    persona: str | None = None
    seed: int | None = None
    placement: Placement | None = None
    instruction: str | None = None


NO_OVERRIDE = Override()


@dataclass(frozen=True, slots=True)
class MemberPrompt:
    """A member, how it is asked, and the context chosen for one question (`None` for none)."""

    member: Member
    strategy: str
    layout: Layout
    seed: int
    context: Context | None
    co_design: CoDesign
    usage: Mapping[str, int] | None = None
    """What writing the persona cost, where this request had it written."""
