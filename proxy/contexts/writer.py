"""Personas written by a model at run time: kept in a store, written once for each key.

One writing per key runs in this process, and, by a lease of the store, in all that share it. It
survives the client that began it. When it fails the bank serves, and what was served is kept for
a while.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from its import seeds
from its.personas.bank import Bank
from its.personas.generate import TOKENS, Reply, reply, write
from its.personas.prompts import LOOKED_AT, load
from its.strategies import Pick
from its.types import Message

from ..config.settings import QUEUED, SELF, Generator, Member, PersonaSettings
from ..engines.engine import CHAT, Engine, EngineError
from ..engines.limits import Retries
from ..telemetry.metrics import Metrics
from .store import Store, Stored, StoreError

REFUSED_SECONDS = 86_400.0
"""How long the bank stands in where the model's texts broke a rule: the next would break it too."""

FAILED_SECONDS = 3_600.0
"""How long it does where nothing was written: an outage passes, and a chat's turns are closer."""

STORE_REST_SECONDS = 5.0
"""After a failure the store is left alone so long, or a dead one would slow every request."""

LEASE_MARGIN_SECONDS = 5.0
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.25
"""How often a process looks whether another one has written: ever more seldom."""

_LOG = logging.getLogger("its.proxy")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Served:
    """A persona, the tokens it cost now (`None`: none), and when to look again (monotonic)."""

    stored: Stored
    usage: Mapping[str, int] | None
    until: float | None


class Writer:
    """Finds a persona in the store, or has it written."""

    def __init__(
        self,
        settings: PersonaSettings,
        engines: Mapping[str, Engine],
        store: Store | None,
        bank: Bank,
        metrics: Metrics,
    ) -> None:
        assert settings.generator is not None
        self._by: Generator = settings.generator
        self._writes = "generate" in settings.order
        self._engines, self._bank, self._metrics = engines, bank, metrics
        self._store = _Careful(store if "store" in settings.order else None)
        self._slots = asyncio.Semaphore(self._by.max_concurrency)
        self._most = (1 + QUEUED) * self._by.max_concurrency
        self._flights: dict[str, asyncio.Task[Served]] = {}

    async def serve(self, pick: Pick, question: str, member: Member, seed: int) -> Served:
        """Return the persona that stands for `pick`; only who began its writing pays for it.

        Where too many are being written the bank's own text serves, this once.
        """
        key = self._key(pick, question, member, seed)
        flight = self._flights.get(key)
        if flight is not None:
            served = await asyncio.shield(flight)
            return Served(served.stored, None, served.until)
        if len(self._flights) >= self._most:
            self._metrics.persona("bank")
            return Served(_of_bank(pick), None, time.monotonic())
        # A flight outlives its request, and must not hold a long question for so long.
        read = question[: LOOKED_AT + 1]
        flight = asyncio.create_task(self._find(key, pick, read, member, seed))
        self._flights[key] = flight
        flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    async def finish(self) -> None:
        """Wait for what is being written: `deadline_s` at most, and what the store takes."""
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

    async def _find(self, key: str, pick: Pick, question: str, member: Member, seed: int) -> Served:
        if stored := await self._store.get(key):
            self._metrics.persona("store")
            return _kept(stored)
        if not self._writes:
            self._metrics.persona("bank")
            return Served(_of_bank(pick), None, None)
        usage: dict[str, int] = {}
        try:
            async with asyncio.timeout(self._by.deadline_s):
                served = await self._write(key, pick, question, member, seed, usage)
        except (TimeoutError, EngineError) as error:
            # Its text may quote the question. Engine.count tells it, at `debug`.
            kind = getattr(error, "kind", "timeout")
            told = {"error": f"engine_{kind}", "engine_status": getattr(error, "status", None)}
            _LOG.warning("No persona was written; the bank serves.", extra={"told": told})
            self._metrics.persona_fault(kind)
            served = await self._stand_in(key, pick, FAILED_SECONDS)
        finally:
            await self._store.release(key)
        self._metrics.persona(served.stored.source)
        return replace(served, usage=usage or None)

    async def _write(
        self,
        key: str,
        pick: Pick,
        question: str,
        member: Member,
        seed: int,
        usage: dict[str, int],
    ) -> Served:
        if stored := await self._wait_for_lease(key):
            return _kept(stored)
        assert pick.prompt is not None

        async def ask(messages: Sequence[Message], sampling_seed: int) -> Reply:
            reply = await self._ask(member, messages, sampling_seed)
            for name in TOKENS:
                usage[name] = usage.get(name, 0) + reply.usage.get(name, 0)
            return reply

        domain = self._bank.domain(pick.domain) if pick.domain else None
        member_seed = seeds.derive("persona", seed, member.name)
        async with self._slots:
            written = await write(pick.prompt, question, domain, ask=ask, seed=member_seed)
        for fault in written.faults:
            self._metrics.persona_fault(fault)
        if written.persona is None:
            return await self._stand_in(key, pick, REFUSED_SECONDS)
        stored = Stored(written.persona, "generate", pick.domain)
        return _kept(await self._store.keep(key, stored, None))

    async def _stand_in(self, key: str, pick: Pick, seconds: float) -> Served:
        """Keep the bank's text for `seconds`, unless another process has written by now."""
        return _kept(await self._store.keep(key, _of_bank(pick), seconds), seconds)

    async def _wait_for_lease(self, key: str) -> Stored | None:
        """Return once this process may write, or with what another one has written."""
        pause = FIRST_LOOK_SECONDS
        while not await self._store.lease(key, self._by.deadline_s + LEASE_MARGIN_SECONDS):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_LOOK_SECONDS)
            if stored := await self._store.get(key):
                return stored
        return await self._store.get(key)  # it may have been written between look and lease

    async def _ask(self, member: Member, messages: Sequence[Message], seed: int) -> Reply:
        own = self._by.engine == SELF
        engine = self._engines[member.engine if own else self._by.engine]
        body = {"model": self._by.model or member.model, "messages": messages, "seed": seed}
        sampling = msgspec.json.decode(self._by.sampling)
        sent = msgspec.json.encode({**body, **sampling})
        raw = await engine.complete(CHAT, sent, b"", Retries(1, self._by.deadline_s))
        try:
            return reply(raw)
        except ValueError as error:
            raise EngineError("protocol", f"engine {engine.name!r} {error}") from error


class _Careful:
    """A store that fails quietly: no request fails because of it. Without one, nothing is kept."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._rests_until = 0.0

    async def get(self, key: str) -> Stored | None:
        return await self._try(None, lambda store: store.get(key))

    async def keep(self, key: str, stored: Stored, seconds: float | None) -> Stored:
        return await self._try(stored, lambda store: store.keep(key, stored, seconds))

    async def lease(self, key: str, seconds: float) -> bool:
        return await self._try(True, lambda store: store.lease(key, seconds))

    async def release(self, key: str) -> None:
        await self._try(None, lambda store: store.release(key))

    async def _try(self, instead: T, call: Callable[[Store], Awaitable[T]]) -> T:
        if self._store is None or time.monotonic() < self._rests_until:
            return instead
        try:
            return await call(self._store)
        except StoreError as error:
            self._rests_until = time.monotonic() + STORE_REST_SECONDS
            _LOG.warning("the persona store is left out for %g s: %s", STORE_REST_SECONDS, error)
            return instead


def _of_bank(pick: Pick) -> Stored:
    return Stored(pick.text, pick.source, pick.domain)


def _kept(stored: Stored, seconds: float = FAILED_SECONDS) -> Served:
    """Return what is kept; a stand-in of the bank is looked up again after `seconds`."""
    stands_in = stored.source != "generate"
    return Served(stored, None, time.monotonic() + seconds if stands_in else None)
