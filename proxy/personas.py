"""Where contexts come from at run time, and what a member is asked with them.

The order of sources is the bank alone for now; a store and a model that writes personas stand
before it later. Whatever the source, a member trained with a context is never asked without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from its import prompts, strategies
from its.manifest import CoDesign
from its.personas.bank import Bank
from its.types import Context, Layout, Message, Placement

from .errors import BadRequest
from .settings import Member


@dataclass(frozen=True, slots=True)
class Override:
    """What a request may change about its context; `None` keeps the member's own."""

    strategy: str | None = None
    persona: str | None = None
    seed: int | None = None
    placement: Placement | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A member, the context chosen for the question, and the composed messages."""

    member: Member
    strategy: str
    layout: Layout
    seed: int
    context: Context | None
    co_design: CoDesign
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Contexts:
    """Chooses contexts from `bank`; `seed` is the configured one."""

    bank: Bank
    seed: int

    def ask(self, member: Member, messages: Sequence[Message], override: Override) -> Asked:
        """Return what `member` is asked.

        Raises:
            BadRequest: the override breaks the member's co-design, or nothing can carry a context.
        """
        strategy = override.strategy or member.strategy
        layout = Layout(override.placement or member.layout.placement, member.layout.separator)
        seed = self.seed if override.seed is None else override.seed
        co_design = _held(member, strategy, layout)
        if strategy != "none" and prompts.opening(messages) is None:
            raise BadRequest(
                f"the model {member.name!r} is asked with a context, which needs a user message",
                param="messages",
            )
        context = self._choose(member, strategy, prompts.question(messages), seed, override.persona)
        composed = prompts.compose(messages, context, layout)
        return Asked(member, strategy, layout, seed, context, co_design, composed)

    def _choose(
        self, member: Member, strategy: str, question: str, seed: int, persona: str | None
    ) -> Context | None:
        if persona is None:
            return strategies.choose(
                strategy, question, bank=self.bank, seed=seed, member=member.name
            )
        if strategy == "none":
            raise BadRequest(
                f"the model {member.name!r} is asked without a context; a persona needs a strategy",
                param="input_time.persona",
            )
        return Context(persona, strategy, "client", None, seed)


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
