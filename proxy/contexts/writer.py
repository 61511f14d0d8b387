"""Personas written by a model at run time: kept in a store, written once for each key.

One writing per key runs in this process, and, by a lease of the store, in all that share it. It
survives the client that began it. If it fails, the bank serves, and what was served is kept for a
while, so that the persona of a chat does not change with every turn.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import msgspec

from its import seeds
from its.personas.bank import Domain
from its.personas.generate import TOKENS, Reply, reply, write
from its.personas.prompts import LOOKED_AT, load
from its.strategies import Pick
from its.types import Message

from ..config.settings import QUEUED, SELF, Generator, Member, PersonaSettings
from ..engines.engine import CHAT, Engine
from ..engines.errors import EngineError
from ..engines.limits import Retries
from ..telemetry.metrics import Metrics
from .budget import WriterBudget
from .careful import CarefulStore
from .store import StoredPersona

REFUSED_SECONDS = 86_400.0
"""How long the bank stands in where the model's texts broke a rule: the next would break it too."""

FAILED_SECONDS, LONGEST_FAILED_SECONDS = 60.0, 3_600.0
"""How long it does where a call failed: as long as the writer has been failing, within these."""

LEASE_SECONDS = 2.0
"""Renewed while a process writes: if it dies, another one may write so soon."""

RENEWALS = 4
"""Renewals in the time of a lease: a busy event loop may be late for some."""

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.25
"""How often a process looks whether another one has written: ever more seldom."""

_LOG = logging.getLogger("its.proxy")


@dataclass(frozen=True, slots=True)
class Served:
    """A persona, the tokens it cost now (`None`: none), and when to look again (monotonic)."""

    stored: StoredPersona
    usage: Mapping[str, int] | None
    until: float | None


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be written: the `key` it is kept by, and all that decides its text."""

    key: str
    pick: Pick
    domain: Domain | None
    question: str
    member: Member
    seed: int


class Writer:
    """Finds a persona in the store, or has it written."""

    def __init__(
        self,
        settings: PersonaSettings,
        engines: Mapping[str, Engine],
        store: CarefulStore | None,
        metrics: Metrics,
    ) -> None:
        assert settings.generator is not None
        self._by: Generator = settings.generator
        self._writes = "generate" in settings.order
        self._engines, self._metrics = engines, metrics
        used = store if "store" in settings.order else None
        self._store = used or CarefulStore(None)
        self._slots = asyncio.Semaphore(self._by.max_concurrency)
        self._most = (1 + QUEUED) * self._by.max_concurrency
        self._flights: dict[str, asyncio.Task[Served]] = {}
        self._fails_since: float | None = None

    async def serve(
        self, pick: Pick, domain: Domain | None, question: str, member: Member, seed: int
    ) -> Served:
        """Return the persona that stands for `pick`; only who began its writing pays for it.

        `domain` is the one of `pick`, in the bank that it was picked from.

        Where too many are being written the bank's own text serves, this once.
        """
        key = self._key(pick, question, member, seed)
        flight = self._flights.get(key)
        if flight is not None:
            served = await asyncio.shield(flight)
            return Served(served.stored, None, served.until)
        if len(self._flights) >= self._most:
            self._metrics.persona(pick.source)
            return _this_once(pick)
        # A flight outlives its request, and must not hold a long question for so long.
        order = _Order(key, pick, domain, question[: LOOKED_AT + 1], member, seed)
        flight = asyncio.create_task(self._find(order))
        self._flights[key] = flight
        flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    async def open(self) -> None:
        """Reach the store."""
        await self._store.open()

    async def finish(self) -> None:
        """Wait for what is being written: `max_wait_s` and `deadline_s` at most, and the store."""
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    async def close(self) -> None:
        """End what is being written."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _key(self, pick: Pick, question: str, member: Member, seed: int) -> str:
        """Hash all that decides what is written. Samples of one member share a persona."""
        assert pick.prompt is not None
        decides = [
            pick.strategy,
            hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest(),
            seeds.derive("persona", seed, member.name),
            self._by.model or member.model,
            self._by.sampling.decode(),
            load(pick.prompt).sha256,
            pick.domain,
        ]
        return hashlib.sha256(msgspec.json.encode(decides)).hexdigest()

    async def _find(self, order: _Order) -> Served:
        if stored := await self._store.get(order.key):
            self._metrics.persona("store")
            return self._kept(order.key, stored)
        if not self._writes:
            self._metrics.persona(order.pick.source)
            return Served(_of_bank(order.pick), None, None)
        usage: dict[str, int] = {}
        served = await self._within_limits(order, usage)
        self._metrics.persona(served.stored.source)
        return replace(served, usage=usage or None)

    async def _within_limits(self, order: _Order, usage: dict[str, int]) -> Served:
        budget: WriterBudget | None = None
        try:
            async with asyncio.timeout(None) as limit:
                budget = WriterBudget(limit, self._by.max_wait_s, self._by.deadline_s)
                return await self._in_turn(order, budget, usage)
        except (TimeoutError, EngineError) as error:
            assert budget is not None
            return await self._failed(order, error, asked=budget.works)

    async def _failed(self, order: _Order, error: Exception, *, asked: bool) -> Served:
        """Let the bank serve: this once where the writer was never `asked`, else for a while."""
        # Its text may quote the question. Engine.count tells it, at `debug`.
        kind = getattr(error, "kind", "timeout") if asked else "busy"
        told = {"error": f"engine_{kind}", "engine_status": getattr(error, "status", None)}
        _LOG.warning("No persona was written; the bank serves.", extra={"told": told})
        self._metrics.persona_fault(kind)
        if not asked:
            return _this_once(order.pick)
        now = time.monotonic()
        self._fails_since = self._fails_since or now
        seconds = min(max(FAILED_SECONDS, now - self._fails_since), LONGEST_FAILED_SECONDS)
        return await self._stand_in(order, seconds)

    async def _in_turn(self, order: _Order, budget: WriterBudget, usage: dict[str, int]) -> Served:
        """Write once there is a slot, unless another process writes: then wait for its text."""
        pause = FIRST_LOOK_SECONDS
        while True:
            async with self._slots:
                if await self._store.lease(order.key, LEASE_SECONDS):
                    async with self._renewed(order.key):
                        # Another process may have written between the look and the lease.
                        if stored := await self._store.get(order.key):
                            return self._kept(order.key, stored)
                        return await self._write(order, budget, usage)
            await asyncio.sleep(pause)  # without a slot: others may write meanwhile
            pause = min(2 * pause, LAST_LOOK_SECONDS)
            if stored := await self._store.get(order.key):
                return self._kept(order.key, stored)

    @asynccontextmanager
    async def _renewed(self, key: str) -> AsyncIterator[None]:
        """Hold a lease until the block ends."""

        async def renew() -> None:
            # Without it, a text that takes longer than the lease would be written twice.
            while True:
                await asyncio.sleep(LEASE_SECONDS / RENEWALS)
                await self._store.renew(key, LEASE_SECONDS)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._store.release(key)

    async def _write(self, order: _Order, budget: WriterBudget, usage: dict[str, int]) -> Served:
        pick, member = order.pick, order.member
        assert pick.prompt is not None

        async def ask(messages: Sequence[Message], sampling_seed: int) -> Reply:
            reply = await self._ask(member, messages, sampling_seed, budget)
            for name in TOKENS:
                usage[name] = usage.get(name, 0) + reply.usage.get(name, 0)
            return reply

        seed = seeds.derive("persona", order.seed, member.name)
        written = await write(pick.prompt, order.question, order.domain, ask=ask, seed=seed)
        self._fails_since = None
        for fault in written.faults:
            self._metrics.persona_fault(fault)
        if written.persona is None:
            return await self._stand_in(order, REFUSED_SECONDS)
        stored = StoredPersona(written.persona, "generate", pick.domain)
        return self._kept(order.key, await self._store.keep(order.key, stored, None))

    async def _stand_in(self, order: _Order, seconds: float) -> Served:
        """Keep the bank's text for `seconds`, unless another process has written by now."""
        kept = await self._store.keep(order.key, _of_bank(order.pick), seconds)
        return self._kept(order.key, kept, seconds)

    def _kept(self, key: str, stored: StoredPersona, seconds: float = FAILED_SECONDS) -> Served:
        """Return what is kept; a stand-in of the bank is looked up again after `seconds`."""
        if stored.source != "generate":
            return Served(stored, None, time.monotonic() + seconds)
        return Served(stored, None, self._store.next_look(key))

    async def _ask(
        self, member: Member, messages: Sequence[Message], seed: int, budget: WriterBudget
    ) -> Reply:
        own = self._by.engine == SELF
        engine = self._engines[member.engine if own else self._by.engine]
        body = {"model": self._by.model or member.model, "messages": messages, "seed": seed}
        sampling = msgspec.json.decode(self._by.sampling)
        encoded = msgspec.json.encode({**body, **sampling})

        def begun() -> Sequence[bytes]:
            budget.turn(True)  # a body is made when its call has a slot of the engine
            return [encoded]

        raw = await engine.complete(CHAT, begun, b"", Retries(1, self._by.deadline_s))
        try:
            found = reply(raw)
        except ValueError as error:
            raise EngineError("protocol", f"engine {engine.name!r} {error}") from error
        budget.turn(False)
        return found


def _of_bank(pick: Pick) -> StoredPersona:
    return StoredPersona(pick.text, pick.source, pick.domain)


def _this_once(pick: Pick) -> Served:
    return Served(_of_bank(pick), None, time.monotonic())
