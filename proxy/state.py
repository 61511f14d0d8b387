"""What the endpoints work with: the settings and their engines, replaced as a whole on a reload."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from its.personas import bank
from its.strategies import Shelf
from its.suggest import unknown

from .base.errors import ApiError, TooMany
from .base.record import Record
from .config.settings import (
    QUEUED,
    Client,
    EngineSettings,
    Member,
    Panel,
    PersonaSettings,
    Settings,
    StoreSettings,
)
from .contexts.candidates import CandidateFiles
from .contexts.careful import CarefulStore
from .contexts.chats import Chats
from .contexts.personas import ContextChooser
from .contexts.store import open_store
from .contexts.writer import Writer
from .engines.engine import Engine
from .engines.kinds import SERVERS
from .engines.limits import Retries, Slots
from .engines.readiness import Readiness
from .engines.tokens import TokenRate
from .grading import Graders
from .page.store import Verdicts
from .telemetry.metrics import Metrics

_LOG = logging.getLogger("its.proxy")


@dataclass(slots=True)
class Generation:
    """One configuration in use. A request keeps the one that it began with."""

    settings: Settings
    contexts: ContextChooser
    engines: Mapping[str, Engine]
    graders: Graders
    keys: Mapping[str, Slots]
    metrics: Metrics
    readiness: Readiness
    tokens: Mapping[str, TokenRate]
    candidates: CandidateFiles
    verdicts: Verdicts
    running: int = 0

    def retries(self, record: Record, seconds: float | None = None) -> Retries:
        """Return what a request may repeat: for `seconds` in all, if the limit is not lower.

        What the client's SDK has repeated counts. Its calls take slots of the key that it came
        with.

        Raises:
            TooMany: the key has spent its tokens of this minute.
        """
        limits, client = self.settings.limits, record.client
        patience = limits.retry_seconds if seconds is None else min(seconds, limits.retry_seconds)
        key = self.keys.get(client.name) if client is not None else None
        tokens = self.tokens.get(client.name) if client is not None else None
        if client is not None and tokens is not None and (wait := tokens.wait()):
            raise TooMany(
                f"The key {client.name!r} has spent its {tokens.limit} tokens of this minute"
                f" (keys.{client.name}.tokens_per_minute). Ask again in {ceil(wait)} s.",
                code="tokens_per_minute",
                retry_after=ceil(wait),
            )
        return Retries(limits.retries - record.retry_count, patience, key, tokens)

    def find_model(self, name: str, client: Client | None) -> Member | Panel:
        """Return the member or the panel behind a model name; `client` is the request's key.

        Raises:
            ApiError: there is none, or the key may not use it. The key cannot tell which.
        """
        target = self.settings.members.get(name) or self.settings.panels.get(name)
        if target is None or (client is not None and not client.may_use(name)):
            names = [*self.settings.members, *self.settings.panels]
            allowed = [each for each in names if client is None or client.may_use(each)]
            raise ApiError(
                unknown("model", name, allowed),
                status=404,
                param="model",
                code="model_not_found",
            )
        return target


class Service:
    """Holds the generation in use; opens its engines and closes them when nobody needs them.

    `insecure`: without keys, more than this machine may reach it.
    """

    def __init__(self, settings: Settings, *, insecure: bool = False) -> None:
        self.metrics = Metrics()
        self.verdicts = Verdicts(settings, insecure=insecure)
        self._graders = Graders(settings.graders)
        self._chats = Chats()
        self._candidates = CandidateFiles()
        self._keys: dict[tuple[str, int], Slots] = {}
        self._tokens: dict[tuple[str, int], TokenRate] = {}
        self._running: dict[EngineSettings, Engine] = {}
        self._stores: dict[StoreSettings, CarefulStore] = {}
        self._retired: list[Generation] = []
        self._retiring: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()
        self._now = self._generation(settings, {})

    @property
    def now(self) -> Generation:
        return self._now

    def enter(self) -> Generation:
        """Return the present generation; its engines stay open until `leave`."""
        # Counted, not locked: this runs for every request, and only on the event loop.
        generation = self._now
        generation.running += 1
        self.metrics.in_flight.inc()
        return generation

    def leave(self, generation: Generation) -> None:
        """Say that a request is done."""
        generation.running -= 1
        self.metrics.in_flight.dec()
        if generation is not self._now and not generation.running:
            self._retire(generation)

    async def open(self) -> None:
        """Open the first configuration's engines."""
        await self.reload(self._now.settings)

    def warm_up(self) -> None:
        """Prepare what the first vote would otherwise wait for."""
        if self._now.settings.panels:
            self._graders.warm_up()

    async def reload(self, settings: Settings) -> None:
        """Serve `settings` from now on; requests that run finish on what they began with.

        Engines whose settings did not change stay as they are. If one cannot be opened, nothing
        has changed.
        """
        async with self._changing:
            wanted = settings.engines.values()
            missing = [engine for engine in wanted if engine not in self._running]
            opened = await asyncio.gather(*map(self._open, missing), return_exceptions=True)
            # All are waited for: one that starts later than another fails would never be closed.
            failed = [found for found in opened if isinstance(found, BaseException)]
            for engine, found in zip(missing, opened, strict=True):
                if not isinstance(found, BaseException):
                    self._running[engine] = found
            if failed:
                await self._close_unused()
                raise failed[0]
            engines = {name: self._running[e] for name, e in settings.engines.items()}
            try:
                generation = self._generation(settings, engines)
            except BaseException:
                await self._close_unused()
                raise
            old, self._now = self._now, generation
            self.verdicts.configure(settings)
            generation.readiness.report()
            await generation.contexts.open()
            self._retired.append(old)
            if not old.running:
                self._retire(old)

    async def close(self) -> None:
        """Close every engine and the graders."""
        async with self._changing:
            # What is being written ends first: without its engine it would be taken as a failure.
            for generation in [*self._retired, self._now]:
                await generation.contexts.close()
                generation.readiness.cancel()
            for engine in self._running.values():
                await engine.close()
            self._running.clear()
            for store in self._stores.values():
                await store.close()
            self._stores.clear()
        await self._candidates.close()
        await self._graders.close()

    def _generation(self, settings: Settings, engines: Mapping[str, Engine]) -> Generation:
        contexts = self._contexts(settings.personas, engines)
        keys = {
            client.name: self._key_slots(client.name, client.max_concurrency)
            for client in settings.clients
            if client.max_concurrency is not None
        }
        rates = {
            client.name: self._token_rate(client.name, client.tokens_per_minute)
            for client in settings.clients
            if client.tokens_per_minute is not None
        }
        ready = Readiness(engines)
        shared = self._graders, keys, self.metrics, ready, rates
        kept = self._candidates, self.verdicts
        return Generation(settings, contexts, engines, *shared, *kept)

    def _token_rate(self, name: str, limit: int) -> TokenRate:
        """Return what a key has spent; as long as its limit is the same, a reload keeps it."""
        if (name, limit) not in self._tokens:
            self._tokens[name, limit] = TokenRate(limit)
        return self._tokens[name, limit]

    def _key_slots(self, name: str, size: int) -> Slots:
        """Return the slots of a key; as long as its limit is the same, a reload keeps them."""
        if (name, size) not in self._keys:
            gauge = self.metrics.key_queue(name)
            self._keys[name, size] = Slots(f"the key {name!r}", size, QUEUED * size, gauge)
        return self._keys[name, size]

    def _contexts(self, settings: PersonaSettings, engines: Mapping[str, Engine]) -> ContextChooser:
        people = settings.bank or bank.load()
        shelf = Shelf(people, settings.notes, settings.examples, settings.concepts)
        writer = None
        if settings.generator and engines:
            store = self._store(settings.store) if settings.store else None
            writer = Writer(settings, engines, store, self.metrics)
        return ContextChooser(shelf, settings.seed, writer, self.metrics, self._chats)

    def _store(self, settings: StoreSettings) -> CarefulStore:
        if settings not in self._stores:
            self._stores[settings] = CarefulStore(open_store(settings))
        return self._stores[settings]

    async def _open(self, settings: EngineSettings) -> Engine:
        server = SERVERS[settings.server](settings)
        await server.start()
        return Engine(settings, server, self.metrics)

    def _retire(self, old: Generation) -> None:
        """Close what only `old`, which has no requests left, still needs."""
        task = asyncio.get_running_loop().create_task(self._close_with(old))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _close_with(self, old: Generation) -> None:
        # A persona is written to its end even where its client has left.
        await old.contexts.finish()
        old.readiness.cancel()
        async with self._changing:
            self._retired.remove(old)
            await self._close_unused()

    async def _close_unused(self) -> None:
        # Settings are equal by value, so an engine that a reload left alone is found again.
        needed = {
            engine
            for generation in [self._now, *self._retired]
            for engine in generation.settings.engines.values()
        }
        for engine in self._running.keys() - needed:
            await self._running.pop(engine).close()
        stores = {g.settings.personas.store for g in [self._now, *self._retired]}
        for unused in self._stores.keys() - stores:
            await self._stores.pop(unused).close()
