"""Where contexts come from at run time, and whether they fit how a member was trained.

Memory stands before the bank: choosing by relevance costs more than all else a request needs.
Whatever the source, a member trained with a context is never asked without one.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from its import strategies
from its.manifest import CoDesign
from its.personas.bank import Bank
from its.types import Context, Layout, Placement

from .errors import BadRequest
from .settings import Member

MEMORY = 4096
"""Contexts kept in memory; with their questions, a few MB."""

LONGEST_KEPT = 8192
"""Characters of a question beyond which its context is not kept."""


@dataclass(frozen=True, slots=True)
class Override:
    """What a request may change about its context; `None` keeps the member's own."""

    strategy: str | None = None
    persona: str | None = None
    seed: int | None = None
    placement: Placement | None = None


NO_OVERRIDE = Override()


@dataclass(frozen=True, slots=True)
class Asked:
    """A member, how it is asked, and the context chosen for one question (`None` for none)."""

    member: Member
    strategy: str
    layout: Layout
    seed: int
    context: Context | None
    co_design: CoDesign


class Contexts:
    """Chooses contexts from `bank`; `seed` is the configured one."""

    def __init__(self, bank: Bank, seed: int, count: Callable[[bool], None]) -> None:
        self._bank, self._seed, self._count = bank, seed, count
        self._memory: OrderedDict[tuple[str, int, str, str], Context] = OrderedDict()

    def ask(self, member: Member, question: str | None, override: Override = NO_OVERRIDE) -> Asked:
        """Return how `member` is asked `question`; `None` where a request has no user message.

        Raises:
            BadRequest: the override breaks the member's co-design, or nothing can carry a context.
        """
        strategy = override.strategy or member.strategy
        layout, co_design = member.layout, member.own_co_design
        if override is not NO_OVERRIDE:
            layout = Layout(override.placement or layout.placement, layout.separator)
            co_design = _held(member, strategy, layout)
        seed = self._seed if override.seed is None else override.seed
        if strategy == "none":
            if override.persona is not None:
                raise BadRequest(
                    f"the model {member.name!r} is asked without a context; a persona needs a"
                    " strategy",
                    param="input_time.persona",
                )
            return Asked(member, strategy, layout, seed, None, co_design)
        if question is None:
            raise BadRequest(
                f"the model {member.name!r} is asked with a context, which needs a user message",
                param="messages",
            )
        if override.persona is not None:
            context = Context(override.persona, strategy, "client", None, seed)
        else:
            context = self._choose(strategy, seed, member.name, question)
        return Asked(member, strategy, layout, seed, context, co_design)

    def _choose(self, strategy: str, seed: int, member: str, question: str) -> Context:
        key = (strategy, seed, member, question)
        found = self._memory.get(key)
        self._count(found is not None)
        if found is not None:
            self._memory.move_to_end(key)
            return found
        chosen = strategies.choose(strategy, question, bank=self._bank, seed=seed, member=member)
        assert chosen is not None, "only `none` has no context"
        if len(question) <= LONGEST_KEPT:
            self._memory[key] = chosen
            if len(self._memory) > MEMORY:
                self._memory.popitem(last=False)
        return chosen


def _held(member: Member, strategy: str, layout: Layout) -> CoDesign:
    verdict = member.co_design(strategy, layout)
    if verdict is CoDesign.MISMATCH and not member.allow_mismatch and member.manifest:
        train = member.manifest.train
        raise BadRequest(
            f"the model {member.name!r} was trained with {train.strategy!r} contexts"
            f" {train.placement} the question; strategy {strategy!r}, placement"
            f" {layout.placement!r} would break its co-design",
            param="input_time",
            code="co_design_mismatch",
        )
    return verdict
