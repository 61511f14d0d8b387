"""`panels.toml`: read, checked as a whole, frozen. An unknown key is an error.

`tables.File` is the file as written; `_Resolver` looks up names, reads secrets and
manifests, holds every member to the co-design rule, and returns `Settings`.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from its import notes
from its.manifest import CoDesign, Manifest, ManifestError, check, read
from its.methods import METHODS
from its.strategies import EVEN, mix_fault
from its.types import Layout

from .settings import (
    SELF,
    SOURCES,
    Client,
    EngineSettings,
    Generator,
    Limits,
    LogSettings,
    Member,
    Panel,
    PersonaSettings,
    Settings,
    Source,
    StoreSettings,
)
from .tables import (
    EngineTable,
    File,
    Generate,
    Key,
    MemberTable,
    PanelTable,
    Personas,
    Server,
)

QUEUED = 8
"""Calls that may wait for an engine, for each that may run."""


class ConfigError(Exception):
    """One line that names file, key and reason."""

    def __init__(self, file: Path, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}")


def load(path: Path, workers: int | None = None, *, hold: bool = True) -> Settings:
    """Read and check the configuration at `path`.

    `workers` overrides the file's; the limits of engines and keys are one worker's share. Without
    `hold`, members that break their co-design are let through, to be shown.

    Raises:
        ConfigError: the file cannot be read, or a key of it is wrong.
    """
    return _Resolver(path, _parse(path), workers, hold).settings()


def _parse(path: Path) -> File:
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", f"is not TOML: {error}") from error
    try:
        return msgspec.convert(raw, File)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        raise ConfigError(path, _key(raw, at.rstrip("`")), reason) from error


def _key(raw: Mapping[str, Any], at: str) -> str:
    """Turn msgspec's path into the file's own key: it writes `[...]` for the name in a table."""
    table, entry_wrong, rest = at.removeprefix(".").partition("[...]")
    if not entry_wrong:
        return table
    # msgspec does not say which entry it was, so each is converted alone.
    kinds = {"engines": EngineTable, "members": MemberTable, "panels": PanelTable, "keys": Key}
    for name, entry in raw.get(table, {}).items():
        try:
            msgspec.convert(entry, kinds.get(table, Server))
        except msgspec.ValidationError:
            return f"{table}.{name}{rest}"
    return table + rest


class _Resolver:
    """Turns a parsed file into settings; every complaint names the file and the key."""

    def __init__(self, path: Path, file: File, workers: int | None, hold: bool) -> None:
        self.path, self.file, self.hold = path, file, hold
        self.workers = max(1, workers or file.server.workers)

    def settings(self) -> Settings:
        file = self.file
        self._check_names()
        return Settings(
            host=file.server.host,
            port=file.server.port,
            workers=self.workers,
            drain_seconds=file.server.drain_seconds,
            cors_origins=tuple(file.server.cors_origins),
            limits=self._limits(file.server),
            log=LogSettings(**msgspec.structs.asdict(file.server.log)),
            clients=tuple(self._client(name, key) for name, key in file.keys.items()),
            engines={name: self._engine(name, table) for name, table in file.engines.items()},
            members={name: self._member(name, table) for name, table in file.members.items()},
            panels={name: self._panel(name, table) for name, table in file.panels.items()},
            personas=self._personas(file.personas),
        )

    def fail(self, key: str, reason: str) -> ConfigError:
        return ConfigError(self.path, key, reason)

    def _check_names(self) -> None:
        if not self.file.members:
            raise self.fail("members", "at least one is needed")
        for name in self.file.panels.keys() & self.file.members.keys():
            raise self.fail(f"panels.{name}", "a member has the same name")

    def _limits(self, server: Server) -> Limits:
        for key in ("port", "retries", "retry_seconds", "drain_seconds"):
            self._at_least(f"server.{key}", getattr(server, key), 0)
        for key in ("workers", "max_messages", "max_depth"):
            self._at_least(f"server.{key}", getattr(server, key), 1)
        for key in ("max_body_mb", "read_seconds", "max_seconds"):
            self._above_0(f"server.{key}", getattr(server, key))
        return Limits(
            body=int(server.max_body_mb * 1e6),
            messages=server.max_messages,
            depth=server.max_depth,
            read_seconds=server.read_seconds,
            seconds=server.max_seconds,
            retries=server.retries,
            retry_seconds=server.retry_seconds,
        )

    def _client(self, name: str, key: Key) -> Client:
        at = f"keys.{name}"
        self._at_least(f"{at}.max_concurrency", key.max_concurrency, 1)
        for model in key.models or []:
            self._known(f"{at}.models", model, {**self.file.members, **self.file.panels}, "model")
        models = None if key.models is None else frozenset(key.models)
        limit = key.max_concurrency and self._share(key.max_concurrency)
        return Client(name, self._secret(f"{at}.secret", key.secret), models, limit)

    def _engine(self, name: str, table: EngineTable) -> EngineSettings:
        at = f"engines.{name}"
        if (table.base_url is None) == (table.embedded is None):
            raise self.fail(at, "needs either base_url or embedded")
        self._at_least(f"{at}.max_concurrency", table.max_concurrency, 1)
        self._at_least(f"{at}.max_queue", table.max_queue, 0)
        self._above_0(f"{at}.timeout_s", table.timeout_s)
        if table.base_url is not None and not _is_http(table.base_url):
            raise self.fail(f"{at}.base_url", "must be http://HOST:PORT/v1 or https://.../v1")
        embedded = None
        if table.embedded is not None:
            embedded = self.path.parent / table.embedded
            if not embedded.is_file():
                raise self.fail(f"{at}.embedded", f"no file {embedded}")
        return EngineSettings(
            name=name,
            base_url=table.base_url.rstrip("/") if table.base_url else None,
            embedded=embedded,
            api_key=self._secret(f"{at}.api_key", table.api_key) if table.api_key else None,
            max_concurrency=self._share(table.max_concurrency),
            max_queue=self._share(
                QUEUED * table.max_concurrency if table.max_queue is None else table.max_queue
            ),
            timeout_s=table.timeout_s,
        )

    def _member(self, name: str, table: MemberTable) -> Member:
        at = f"members.{name}"
        self._known(f"{at}.engine", table.engine, self.file.engines, "engine")
        manifest = self._manifest(f"{at}.manifest", table.manifest)
        strategy = table.strategy or (manifest.test_strategy if manifest else None)
        if strategy is None:
            raise self.fail(f"{at}.strategy", "is needed where the member has no manifest")
        if strategy == "retrieved" and self.file.personas.notes is None:
            raise self.fail("personas.notes", f"is needed by {at}, whose strategy is 'retrieved'")
        layout = manifest.layout if manifest else Layout()
        verdict = check(manifest, strategy, layout)
        if verdict is CoDesign.MISMATCH and self.hold and not table.allow_mismatch:
            trained = manifest.train.strategy if manifest else "?"
            raise self.fail(
                f"{at}.strategy",
                f"the checkpoint was trained with {trained!r} contexts and would be asked with"
                f" {strategy!r}: a context in one stage only degrades the result. Choose a fitting"
                " strategy, or set allow_mismatch = true for an ablation",
            )
        return Member(
            name=name,
            engine=table.engine,
            model=table.model,
            strategy=strategy,
            layout=layout,
            manifest=manifest,
            thinking=table.thinking,
            allow_mismatch=table.allow_mismatch,
            allow_fields=frozenset(table.allow_fields),
            mix=self._mix(at, table, manifest),
            own_co_design=verdict,
        )

    def _panel(self, name: str, table: PanelTable) -> Panel:
        at = f"panels.{name}"
        if not table.members:
            raise self.fail(f"{at}.members", "at least one is needed")
        for member in table.members:
            self._known(f"{at}.members", member, self.file.members, "member")
        if len(set(table.members)) < len(table.members):
            raise self.fail(f"{at}.members", "a member stands twice; use samples to ask it more")
        self._known(f"{at}.method", table.method, METHODS, "method")
        self._at_least(f"{at}.samples", table.samples, 1)
        self._at_least(f"{at}.quorum", table.quorum, 1)
        planned = len(table.members) * table.samples
        if table.quorum is not None and table.quorum > planned:
            raise self.fail(f"{at}.quorum", f"is {table.quorum}, but only {planned} are asked")
        self._above_0(f"{at}.deadline_s", table.deadline_s)
        return Panel(
            name=name,
            members=tuple(table.members),
            method=table.method,
            samples=table.samples,
            quorum=table.quorum,
            deadline_s=table.deadline_s,
            early_stop=table.early_stop,
            stream_mode=table.stream_mode,
        )

    def _mix(self, at: str, table: MemberTable, manifest: Manifest | None) -> Mapping[str, float]:
        trained = manifest.train.personas.mix if manifest else None
        mix = table.mix or trained or EVEN
        if wrong := mix_fault(mix):
            raise self.fail(f"{at}.mix", wrong)
        return mix

    def _personas(self, table: Personas) -> PersonaSettings:
        generator = self._generator(table.generate) if table.generate else None
        store = self._store(table) if table.store else None
        there: Mapping[Source, object] = {"store": store, "generate": generator, "bank": True}
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
            notes=self._notes(table),
        )

    def _generator(self, table: Generate) -> Generator:
        at = "personas.generate"
        if table.engine != SELF:
            self._known(f"{at}.engine", table.engine, {SELF: None, **self.file.engines}, "engine")
            if table.model is None:
                raise self.fail(f"{at}.model", f"is needed, unless the engine is {SELF!r}")
        elif table.model is not None:
            raise self.fail(f"{at}.model", f"has no meaning where the engine is {SELF!r}")
        self._at_least(f"{at}.max_tokens", table.max_tokens, 1)
        self._at_least(f"{at}.temperature", table.temperature, 0)
        self._at_least(f"{at}.max_concurrency", table.max_concurrency, 1)
        self._above_0(f"{at}.deadline_s", table.deadline_s)
        for name in table.extra.keys() & {"messages", "model", "seed", "stream", "n"}:
            raise self.fail(f"{at}.extra.{name}", "is set for each call by the proxy")
        sampling = {"max_tokens": table.max_tokens, "temperature": table.temperature, **table.extra}
        return Generator(
            engine=table.engine,
            model=table.model,
            sampling=msgspec.json.encode(sampling, order="sorted"),
            deadline_s=table.deadline_s,
            max_concurrency=self._share(table.max_concurrency),
        )

    def _store(self, table: Personas) -> StoreSettings:
        assert table.store is not None
        self._at_least("personas.store_rows", table.store_rows, 1)
        kind, _, rest = table.store.partition(":")
        if kind == "sqlite" and rest:
            return StoreSettings(f"sqlite:{self.path.parent / rest}", table.store_rows)
        if kind in ("env", "file"):
            url = self._secret("personas.store", table.store)
        else:
            url = table.store
            if "@" in url:
                raise self.fail("personas.store", 'holds a password: put the URL into "env:NAME"')
        if urlsplit(url).scheme not in {"redis", "rediss"}:
            raise self.fail(
                "personas.store",
                'must be "sqlite:PATH", "redis://HOST:PORT/0", or "env:NAME" of one',
            )
        return StoreSettings(url, table.store_rows)

    def _notes(self, table: Personas) -> notes.Notes | None:
        self._at_least("personas.notes_each", table.notes_each, 1)
        if table.notes is None:
            return None
        try:
            return notes.load(self.path.parent / table.notes, table.notes_each)
        except notes.NotesError as error:
            raise self.fail("personas.notes", str(error)) from error

    def _manifest(self, key: str, name: str | None) -> Manifest | None:
        if name is None:
            return None
        try:
            return read(self.path.parent / name)
        except ManifestError as error:
            raise self.fail(key, str(error)) from error

    def _secret(self, key: str, reference: str) -> str:
        kind, _, rest = reference.partition(":")
        if kind == "env":
            value = os.environ.get(rest, "")
        elif kind == "file":
            try:
                value = (self.path.parent / rest).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise self.fail(key, f"cannot read the file {rest}") from error
        else:
            raise self.fail(key, 'must be "env:NAME" or "file:PATH"; no secret stands in the file')
        if not value:
            raise self.fail(key, f"{reference} is empty or not set")
        if not (value.isascii() and value.isprintable()):
            raise self.fail(key, f"{reference} holds characters that no header can carry")
        return value

    def _known(self, key: str, name: str, table: Mapping[str, Any], what: str) -> None:
        if name not in table:
            raise self.fail(key, f"no {what} {name!r}; there are: {', '.join(table) or 'none'}")

    def _at_least(self, key: str, value: float | None, least: int) -> None:
        if value is not None and value < least:
            raise self.fail(key, f"must be at least {least}")

    def _above_0(self, key: str, value: float) -> None:
        if value <= 0:
            raise self.fail(key, "must be above 0")

    def _share(self, limit: int) -> int:
        """Return one worker's share of a limit that holds for all of them."""
        return max(min(limit, 1), limit // self.workers)


def _is_http(url: str) -> bool:
    parts = urlsplit(url)
    try:
        reachable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no port
        return False
    known = parts.scheme in {"http", "https"} and parts.path.rstrip("/").endswith("/v1")
    return known and reachable and not parts.username and not parts.query
