"""Where contexts come from at run time, and whether they fit how a member was trained.

Memory stands before all other sources: choosing by relevance alone costs more than all else that
a request needs. Whatever the source, a member trained with a context is never asked without one.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

from its import strategies
from its.manifest import CoDesign
from its.strategies import Shelf
from its.types import Context, Layout

from .asked import NO_OVERRIDE, Asked, Override
from .errors import BadRequest
from .metrics import Metrics
from .settings import Member
from .writer import Writer

MEMORY = 4096
"""Contexts kept in memory; with their questions, a few MB."""

LONGEST_KEPT = 8192
"""Characters of a question beyond which its context is not kept."""


FOREVER = float("inf")

Key: TypeAlias = tuple[str, int, str, str]


class Contexts:
    """Chooses contexts from `shelf`, written anew by `writer`; `seed` is the configured one."""

    def __init__(self, shelf: Shelf, seed: int, writer: Writer | None, metrics: Metrics) -> None:
        self._shelf, self._seed, self._writer, self._metrics = shelf, seed, writer, metrics
        self._memory: OrderedDict[Key, tuple[Context, float]] = OrderedDict()

    async def ask_all(
        self, members: Iterable[Member], question: str | None, override: Override
    ) -> dict[str, Asked]:
        """Return how each of `members` is asked; what must be written is written at once."""
        if self._writer is None:  # no task is worth its cost where nothing waits
            return {each.name: await self.ask(each, question, override) for each in members}
        asking = [self.ask(member, question, override) for member in members]
        return {asked.member.name: asked for asked in await asyncio.gather(*asking)}

    async def ask(
        self, member: Member, question: str | None, override: Override = NO_OVERRIDE
    ) -> Asked:
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
            return Asked(member, strategy, layout, seed, context, co_design)
        context, usage = await self._choose(strategy, seed, member, question)
        return Asked(member, strategy, layout, seed, context, co_design, usage)

    async def finish(self) -> None:
        """Wait for what is being written; that has a time limit of its own."""
        if self._writer is not None:
            await self._writer.finish()

    async def close(self) -> None:
        """End what is being written."""
        if self._writer is not None:
            await self._writer.close()

    async def _choose(
        self, strategy: str, seed: int, member: Member, question: str
    ) -> tuple[Context, Mapping[str, int] | None]:
        key = (strategy, seed, member.name, question)
        found = self._memory.get(key)
        if found is not None and found[1] > time.monotonic():
            self._metrics.persona_memory(True)
            self._memory.move_to_end(key)
            return found[0], None
        self._metrics.persona_memory(False)
        context, usage, until = await self._new(strategy, seed, member, question)
        if len(question) <= LONGEST_KEPT:
            self._memory[key] = (context, until)
            if len(self._memory) > MEMORY:
                self._memory.popitem(last=False)
        return context, usage

    async def _new(
        self, strategy: str, seed: int, member: Member, question: str
    ) -> tuple[Context, Mapping[str, int] | None, float]:
        shelf = replace(self._shelf, mix=member.mix)
        if strategy == "retrieved" and shelf.notes is None:
            raise BadRequest(
                "the strategy 'retrieved' needs personas.notes in the proxy's configuration",
                param="input_time.strategy",
            )
        pick = strategies.choose(strategy, question, shelf=shelf, seed=seed, member=member.name)
        assert pick is not None, "only `none` has no context"
        if self._writer is None or pick.prompt is None:
            self._metrics.persona(pick.source)
            return pick.context(seed), None, FOREVER
        served = await self._writer.serve(pick, question, member, seed)
        kept = served.stored
        context = Context(kept.persona, pick.strategy, kept.source, kept.domain, seed)
        return context, served.usage, FOREVER if served.until is None else served.until


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
