"""The table `personas` of the configuration: where contexts come from."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from its import urls
from its.extras import installed, needs
from its.strategies import ShelfFile

from .checks import Checks
from .settings import SELF, SOURCES, Generator, PersonaSettings, PersonaSource, StoreSettings
from .tables import GenerateTable, PersonasTable

if TYPE_CHECKING:
    from its.notes import Notes
    from its.personas.bank import Bank

_DATABASE = re.compile("(/[0-9]*)?")


class PersonaResolver(Checks):
    """Turns the table into settings; `engines` are those that may write."""

    def __init__(self, path: Path, engines: Mapping[str, Any]) -> None:
        super().__init__(path)
        self.engines = engines

    def personas(self, table: PersonasTable) -> PersonaSettings:
        generator = self._generator(table.generate) if table.generate else None
        store = self._store(table) if table.store else None
        there: Mapping[PersonaSource, object] = {
            "store": store,
            "generate": generator,
            "bank": True,
        }
        order = table.order
        if order is None:
            order = [source for source in SOURCES if there[source]]
        for source in order:
            if not there[source]:
                raise self.fail("personas.order", f"names {source!r}: set personas.{source} too")
        if order[-1:] != ["bank"] or order != [source for source in SOURCES if source in order]:
            raise self.fail(
                "personas.order",
                'must be some of "store", "generate", "bank", in this order, and end with "bank":'
                " a member that was trained with a context is never asked without one",
            )
        if store and not generator:
            raise self.fail(
                "personas.generate", "is needed by personas.store: it keeps what a model wrote"
            )
        return PersonaSettings(
            seed=table.seed,
            order=tuple(order),
            generator=generator,
            store=store,
            bank=self._bank(table),
            notes=self._notes("notes", table.notes),
            examples=self._notes("examples", table.examples),
            concepts=self._notes("concepts", table.concepts),
        )

    def _generator(self, table: GenerateTable) -> Generator:
        at = "personas.generate"
        if table.engine != SELF:
            self.known(f"{at}.engine", table.engine, {SELF: None, **self.engines}, "engine")
            if table.model is None:
                raise self.fail(f"{at}.model", f"is needed, unless the engine is {SELF!r}")
        elif table.model is not None:
            raise self.fail(f"{at}.model", f"has no meaning where the engine is {SELF!r}")
        self.at_least(f"{at}.max_tokens", table.max_tokens, 1)
        self.at_least(f"{at}.temperature", table.temperature, 0)
        self.at_least(f"{at}.max_concurrency", table.max_concurrency, 1)
        self.above_0(f"{at}.deadline_s", table.deadline_s)
        self.above_0(f"{at}.max_wait_s", table.max_wait_s)
        for name in table.extra.keys() & {"messages", "model", "seed", "stream", "n"}:
            raise self.fail(f"{at}.extra.{name}", "is set for each call by the proxy")
        sampling = {"max_tokens": table.max_tokens, "temperature": table.temperature, **table.extra}
        return Generator(
            engine=table.engine,
            model=table.model,
            sampling=msgspec.json.encode(sampling, order="sorted"),
            deadline_s=table.deadline_s,
            max_wait_s=table.max_wait_s,
            max_concurrency=table.max_concurrency,
        )

    def _store(self, table: PersonasTable) -> StoreSettings:
        assert table.store is not None
        self.at_least("personas.store_rows", table.store_rows, 1)
        kind, _, rest = table.store.partition(":")
        if kind == "sqlite" and rest:
            return StoreSettings(f"sqlite:{self.path.parent / rest}", table.store_rows)
        if kind in ("env", "file"):
            url = self.secret("personas.store", table.store)
        else:
            url = table.store
            if "@" in url:
                raise self.fail("personas.store", 'holds a password: put the URL into "env:NAME"')
        if wrong := _redis_fault(url):
            # Not the address itself: it may hold a password.
            raise self.fail(
                "personas.store",
                f'the address {wrong}. It must be "sqlite:PATH", "redis://HOST:PORT/0", or'
                ' "env:NAME" of one',
            )
        if not installed("redis"):
            raise self.fail("personas.store", needs("Redis", "redis"))
        return StoreSettings(url, table.store_rows)

    def _bank(self, table: PersonasTable) -> "Bank | None":
        if table.bank is None:
            return None
        from its.personas import bank

        try:
            return bank.read(self.path.parent / table.bank)
        except bank.BankError as error:
            raise self.fail("personas.bank", str(error)) from error

    def _notes(self, key: ShelfFile, name: str | None) -> "Notes | None":
        if name is None:
            return None
        from its import notes

        try:
            return notes.load(self.path.parent / name)
        except notes.NotesError as error:
            raise self.fail(f"personas.{key}", str(error)) from error


def _redis_fault(url: str) -> str | None:
    """Why a Redis client cannot take this address: the client itself takes any, and guesses."""
    wrong = urls.fault(url, ("redis", "rediss"), secret=True)
    if wrong is None and not _DATABASE.fullmatch(urls.path(url)):
        return "does not end in the number of a database"
    return wrong
