"""Where contexts come from at run time, and whether they fit how a member was trained.

Memory stands before all other sources: choosing by relevance alone costs more than all else that
a request needs. Whatever the source, a member trained with a context is never asked without one.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from its import prompts, strategies
from its.manifest import CoDesign
from its.strategies import Shelf, Strategy, UnknownStrategy
from its.types import Context, Layout

from ..base.errors import BadRequest
from ..base.prompt import NO_OVERRIDE, MemberPrompt, Override
from ..config.settings import Member
from ..telemetry.metrics import Metrics
from .chats import Begun, ChatKey, Chats, KeptContext
from .writer import Writer

FOREVER = float("inf")

SHOWN = 100
"""Characters of an instruction that an error repeats."""


class Completing:
    """How the members of one panel are asked; each is known as soon as its context is written.

    `known` has all of them, those that are not written yet without a context.
    """

    def __init__(
        self, known: dict[str, MemberPrompt], tasks: Mapping[str, asyncio.Task[MemberPrompt]]
    ) -> None:
        self.known, self._tasks = known, tasks

    async def of(self, name: str) -> MemberPrompt:
        """Return how the member `name` is asked, once that is known."""
        if task := self._tasks.get(name):
            self.known[name] = await asyncio.shield(task)  # other calls of the member wait for it
        return self.known[name]

    async def close(self) -> None:
        """End what is not written yet; nobody waits for it."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:  # to gather nothing takes a turn of the event loop
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)


class ContextChooser:
    """Chooses contexts from `shelf`, written anew by `writer`; `seed` is the configured one.

    `chats` is shared with the choosers of earlier configurations.
    """

    def __init__(
        self, shelf: Shelf, seed: int, writer: Writer | None, metrics: Metrics, chats: Chats
    ) -> None:
        self._shelf, self.seed, self._writer, self._metrics = shelf, seed, writer, metrics
        self._chats, self._version, self._epoch = chats, chats.version(shelf), chats.epoch()

    async def ask(
        self, member: Member, question: str | None, goes_on: bool = False,
        override: Override = NO_OVERRIDE,
    ) -> MemberPrompt:  # fmt: skip
        """Return how `member` is asked `question`; `None` where a request has no user message.

        `goes_on`: it opened a chat that goes on, which keeps the version that it began with.

        Raises:
            BadRequest: the override breaks the member's co-design, or nothing can carry a context.
        """
        return await self.complete(self.plan(member, question, override), question, goes_on)

    def plan(self, member: Member, question: str | None, override: Override) -> MemberPrompt:
        """Return how `member` is asked, without a context that must still be chosen.

        Raises:
            BadRequest: as `ask`.
        """
        strategy = override.strategy or member.strategy
        by = _strategy(strategy)
        layout, co_design = member.layout, member.own_co_design
        if override is not NO_OVERRIDE:
            layout = _overridden(layout, override)
            co_design = _checked_co_design(member, strategy, layout)
        seed = self.seed if override.seed is None else override.seed
        asked = MemberPrompt(member, strategy, layout, seed, None, co_design)
        if question is None and layout.instruction:
            raise BadRequest(
                f"the model {member.name!r} is asked with an instruction, which needs a user"
                " message",
                param="messages",
            )
        if not by.context:
            if override.persona is not None:
                raise BadRequest(
                    f"the model {member.name!r} is asked without a context; a persona needs a"
                    " strategy",
                    param="input_time.persona",
                )
            return asked
        if question is None:
            raise BadRequest(
                f"the model {member.name!r} is asked with a context, which needs a user message",
                param="messages",
            )
        if override.persona is not None:
            return replace(asked, context=Context(override.persona, strategy, "client", None, seed))
        for need in by.missing(self._shelf):
            raise BadRequest(
                f"the strategy {strategy!r} needs personas.{need} in the proxy's configuration",
                param="input_time.strategy",
            )
        return asked

    async def complete(
        self, asked: MemberPrompt, question: str | None, goes_on: bool
    ) -> MemberPrompt:
        """Return `asked` with its context, which may have to be written first.

        It is chosen for the question without the member's instruction, as in training.
        """
        if asked.context is not None or question is None:
            return asked
        if not strategies.adds_context(asked.strategy):
            return asked
        question = prompts.bare(question, asked.layout)
        member, seed = asked.member, asked.seed
        context, usage = await self._choose(asked.strategy, seed, member, question, goes_on)
        # Not by `replace`, which costs three times as much, for each member of a panel.
        found = member, asked.strategy, asked.layout, seed, context, asked.co_design, usage
        return MemberPrompt(*found)

    async def complete_all(
        self, planned: Mapping[str, MemberPrompt], question: str | None, goes_on: bool
    ) -> "Completing":
        """Complete every one of `planned`, each for itself where something must be written."""
        if self._writer is None:  # no task is worth its cost where nothing waits
            known = {
                name: await self.complete(each, question, goes_on) for name, each in planned.items()
            }
            return Completing(known, {})
        tasks = {
            name: asyncio.create_task(self.complete(each, question, goes_on))
            for name, each in planned.items()
        }
        return Completing(dict(planned), tasks)

    async def open(self) -> None:
        """Reach the store, so that what is wrong with it is said before the first request."""
        if self._writer is not None:
            await self._writer.open()

    async def finish(self) -> None:
        """Wait for what is being written; that has a time limit of its own."""
        if self._writer is not None:
            await self._writer.finish()

    async def close(self) -> None:
        """End what is being written."""
        if self._writer is not None:
            await self._writer.close()

    async def _choose(
        self, strategy: str, seed: int, member: Member, question: str, goes_on: bool
    ) -> tuple[Context, Mapping[str, int] | None]:
        key = _key(strategy, seed, member.name, question)
        fresh = Begun(self._version, member.options if strategy == member.strategy else None)
        found = self._chats.context(key, fresh, self._epoch, goes_on)
        if found is not None and found.until > time.monotonic():
            self._metrics.persona_memory(True)
            return found.context, None
        self._metrics.persona_memory(False)
        begun = self._chats.begin(key, fresh, goes_on)
        context, usage, until = await self._new(strategy, seed, member, question, begun)
        self._chats.keep(key, KeptContext(context, begun, self._epoch, until))
        return context, usage

    async def _new(
        self, strategy: str, seed: int, member: Member, question: str, begun: Begun
    ) -> tuple[Context, Mapping[str, int] | None, float]:
        shelf = self._chats.shelf(begun.version) or self._shelf
        pick = strategies.choose(
            strategy, question, shelf=shelf, seed=seed, member=member.name, options=begun.options
        )
        assert pick is not None, "only a strategy without contexts picks none"
        # A model cannot write for a question that is only a picture.
        if self._writer is None or pick.prompt is None or not question.strip():
            self._metrics.persona(pick.source)
            return pick.context(seed), None, FOREVER
        domain = shelf.bank.domain(pick.domain) if pick.domain is not None else None
        served = await self._writer.serve(pick, domain, question, member, seed)
        kept = served.stored
        context = Context(kept.persona, pick.strategy, kept.source, kept.domain, seed)
        return context, served.usage, FOREVER if served.until is None else served.until


def _strategy(name: str) -> Strategy[Any]:
    try:
        return strategies.get(name)
    except UnknownStrategy as error:
        raise BadRequest(str(error), param="input_time.strategy") from error


def _overridden(layout: Layout, override: Override) -> Layout:
    layout = replace(layout, placement=override.placement or layout.placement)
    if override.instruction is None:
        return layout
    return replace(
        layout, instruction=override.instruction if override.instruction.strip() else None
    )


def _key(strategy: str, seed: int, member: str, question: str) -> ChatKey:
    parts = msgspec.json.encode([strategy, seed, member])
    return hashlib.sha256(parts + question.encode("utf-8", "surrogatepass")).digest()


def _checked_co_design(member: Member, strategy: str, layout: Layout) -> CoDesign:
    verdict = member.co_design(strategy, layout)
    if verdict is CoDesign.MISMATCH and not member.allow_mismatch and member.manifest:
        train = member.manifest.train
        trained = f"{train.strategy!r} contexts {train.placement} the question"
        asked = f"strategy {strategy!r}, placement {layout.placement!r}"
        if layout.instruction != train.instruction:
            trained += f" and {_told(train.instruction)}"
            asked += f", {_told(layout.instruction)}"
        raise BadRequest(
            f"the model {member.name!r} was trained with {trained}; {asked} would break its"
            " co-design. Its operator can allow it with allow_mismatch = true",
            param="input_time",
            code="co_design_mismatch",
        )
    return verdict


def _told(instruction: str | None) -> str:
    return f"the instruction {instruction[:SHOWN]!r}" if instruction else "no instruction"
