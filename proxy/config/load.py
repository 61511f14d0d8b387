"""`panels.toml`: read, checked as a whole, frozen. An unknown key is an error.

`tables.ConfigFile` is the file as written; `_Resolver` looks up names, reads secrets and
manifests, holds every member to the co-design rule, and returns `Settings`.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from its import strategies
from its.extras import installed, needs
from its.finite import not_finite
from its.manifest import CoDesign, Manifest, ManifestError, check, read
from its.strategies import Options, StrategyOptionError, UnknownStrategy
from its.suggest import unknown
from its.types import Layout

from .checks import Checks, ConfigError, cores
from .panels import PanelResolver
from .personas import PersonaResolver
from .settings import (
    EMBEDDED_TOKENS,
    QUEUED,
    Client,
    EngineSettings,
    Limits,
    LogSettings,
    Member,
    PersonaSettings,
    Price,
    ServerKind,
    Settings,
)
from .tables import (
    ConfigFile,
    EngineTable,
    KeyTable,
    MemberTable,
    PanelTable,
    PriceTable,
    ServerTable,
    keys_at,
    values_at,
)

MOST_GRADERS = 4
"""Grading processes where the file names no number: each holds about 70 MB."""


def load(path: Path, *, refuse_mismatch: bool = True) -> Settings:
    """Read and check the configuration at `path`.

    Without `refuse_mismatch`, members that break their co-design are let through, to be shown.

    Raises:
        ConfigError: the file cannot be read, or a key of it is wrong.
    """
    return _Resolver(path, _parse(path), refuse_mismatch).settings()


def _parse(path: Path) -> ConfigFile:
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", f"is not TOML: {error}") from error
    if key := not_finite(raw):
        raise ConfigError(path, key, "must be a finite number, not nan or inf")
    try:
        return msgspec.convert(raw, ConfigFile)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        at = at.rstrip("`")
        if found := re.fullmatch(r"Object contains unknown field `(.*)`", reason, re.DOTALL):
            reason = unknown("key", found[1], keys_at(at))
        elif found := re.fullmatch(r"Invalid enum value '(.*)'", reason, re.DOTALL):
            reason = unknown("value", found[1], values_at(at))
        raise ConfigError(path, _key(raw, at), reason) from error


def _key(raw: Mapping[str, Any], at: str) -> str:
    """Turn msgspec's path into the file's own key: it writes `[...]` for the name in a table."""
    table, entry_wrong, rest = at.removeprefix(".").partition("[...]")
    if not entry_wrong:
        return table
    # msgspec does not say which entry it was, so each is converted alone.
    kinds = {"engines": EngineTable, "members": MemberTable, "panels": PanelTable, "keys": KeyTable}
    for name, entry in raw.get(table, {}).items():
        try:
            msgspec.convert(entry, kinds.get(table, ServerTable))
        except msgspec.ValidationError:
            return f"{table}.{name}{rest}"
    return table + rest


class _Resolver(Checks):
    """Turns a parsed file into settings; every complaint names the file and the key."""

    def __init__(self, path: Path, file: ConfigFile, refuse_mismatch: bool) -> None:
        super().__init__(path)
        self.file, self.refuse_mismatch = file, refuse_mismatch

    def settings(self) -> Settings:
        file = self.file
        self._check_names()
        members = {name: self._member(name, table) for name, table in file.members.items()}
        panels = PanelResolver(self.path, file, members)
        return Settings(
            host=file.server.host,
            port=file.server.port,
            graders=self._graders(file.server),
            drain_seconds=file.server.drain_seconds,
            cors_origins=self.origins("server.cors_origins", file.server.cors_origins),
            allowed_hosts=self.hosts("server.allowed_hosts", file.server.allowed_hosts),
            limits=self._limits(file.server),
            page=self.page(file.server),
            log=LogSettings(**msgspec.structs.asdict(file.server.log)),
            clients=self._clients(),
            engines={name: self._engine(name, table) for name, table in file.engines.items()},
            members=members,
            panels={name: panels.panel(name, table) for name, table in file.panels.items()},
            personas=self._personas(),
        )

    def _personas(self) -> PersonaSettings:
        resolver = PersonaResolver(self.path, self.file.engines)
        return resolver.personas(self.file.personas)

    def _check_names(self) -> None:
        if not self.file.members:
            raise self.fail("members", "at least one is needed")
        for name in self.file.panels.keys() & self.file.members.keys():
            raise self.fail(f"panels.{name}", "a member has the same name")

    def _limits(self, server: ServerTable) -> Limits:
        self.port("server.port", server.port)
        for key in ("retries", "retry_seconds", "drain_seconds"):
            self.at_least(f"server.{key}", getattr(server, key), 0)
        for key in ("max_messages", "max_depth"):
            self.at_least(f"server.{key}", getattr(server, key), 1)
        for key in ("max_body_mb", "read_seconds", "max_seconds"):
            self.above_0(f"server.{key}", getattr(server, key))
        return Limits(
            body=int(server.max_body_mb * 1e6),
            messages=server.max_messages,
            depth=server.max_depth,
            read_seconds=server.read_seconds,
            seconds=server.max_seconds,
            retries=server.retries,
            retry_seconds=server.retry_seconds,
        )

    def _clients(self) -> tuple[Client, ...]:
        clients: dict[str, Client] = {}
        for client in (self._client(name, key) for name, key in self.file.keys.items()):
            if other := clients.get(client.secret):
                raise self.fail(f"keys.{client.name}.secret", f"is the secret of keys.{other.name}")
            clients[client.secret] = client
        return tuple(clients.values())

    def _graders(self, server: ServerTable) -> int:
        self.at_least("server.graders", server.graders, 1)
        return server.graders or min(cores(), MOST_GRADERS)

    def _client(self, name: str, key: KeyTable) -> Client:
        at = f"keys.{name}"
        self.at_least(f"{at}.max_concurrency", key.max_concurrency, 1)
        for model in key.models or []:
            self.known(f"{at}.models", model, {**self.file.members, **self.file.panels}, "model")
        models = None if key.models is None else frozenset(key.models)
        secret = self.secret(f"{at}.secret", key.secret)
        self.at_least(f"{at}.tokens_per_minute", key.tokens_per_minute, 1)
        concurrency, tokens = key.max_concurrency, key.tokens_per_minute
        return Client(name, secret, models, concurrency, key.metrics, tokens)

    def _engine(self, name: str, table: EngineTable) -> EngineSettings:
        at = f"engines.{name}"
        if (table.base_url is None) == (table.embedded is None):
            raise self.fail(at, "needs either base_url or embedded")
        self.at_least(f"{at}.max_concurrency", table.max_concurrency, 1)
        self.at_least(f"{at}.max_queue", table.max_queue, 0)
        self.above_0(f"{at}.timeout_s", table.timeout_s)
        server, place = self._place(at, table)
        queued = table.max_queue
        return EngineSettings(
            name=name,
            server=server,
            place=place,
            api_key=self.secret(f"{at}.api_key", table.api_key) if table.api_key else None,
            max_concurrency=table.max_concurrency,
            max_queue=QUEUED * table.max_concurrency if queued is None else queued,
            timeout_s=table.timeout_s,
            forward_headers=self.forwarded(f"{at}.forward_headers", table.forward_headers),
            kind=table.kind,
        )

    def _place(self, at: str, table: EngineTable) -> tuple[ServerKind, str]:
        """Return the kind of an engine, and where it is."""
        if table.base_url is not None:
            return "base_url", self.engine_url(f"{at}.base_url", table.base_url)
        if not installed("xllamacpp"):
            raise self.fail(f"{at}.embedded", needs("An embedded engine", "demo"))
        file = self.path.parent / (table.embedded or "")
        if not file.is_file():
            raise self.fail(f"{at}.embedded", f"no file {file}")
        if table.api_key is not None:
            raise self.fail(f"{at}.api_key", "the proxy makes an embedded engine's key itself")
        return "embedded", str(file)

    def _member(self, name: str, table: MemberTable) -> Member:
        at = f"members.{name}"
        self.known(f"{at}.engine", table.engine, self.file.engines, "engine")
        manifest = self._manifest(f"{at}.manifest", table.manifest)
        strategy = table.strategy or (manifest.test_strategy if manifest else None)
        if strategy is None:
            raise self.fail(f"{at}.strategy", "is needed where the member has no manifest")
        options = self._options(at, table, strategy, manifest)
        layout = manifest.layout if manifest else Layout()
        verdict = check(manifest, strategy, layout)
        if verdict is CoDesign.MISMATCH and self.refuse_mismatch and not table.allow_mismatch:
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
            options=options,
            own_co_design=verdict,
            scores=self.file.engines[table.engine].kind == "reward",
            context_tokens=self._context_tokens(f"{at}.context_tokens", table),
            price=self._price(f"{at}.price", table.price),
            system_mismatch=table.system_mismatch,
            defaults=self._defaults(at, table),
        )

    def _context_tokens(self, at: str, table: MemberTable) -> int | None:
        self.at_least(at, table.context_tokens, 1)
        most = EMBEDDED_TOKENS if self.file.engines[table.engine].embedded else None
        if most and (table.context_tokens or most) > most:
            raise self.fail(at, f"an embedded engine reads {most} tokens at most")
        return table.context_tokens or most

    def _defaults(self, at: str, table: MemberTable) -> bool:
        if table.defaults and table.manifest is None:
            raise self.fail(f"{at}.defaults", "needs a manifest, whose `test` has the sampling")
        return table.defaults

    def _price(self, at: str, table: PriceTable | None) -> Price | None:
        if table is None:
            return None
        self.at_least(f"{at}.prompt", table.prompt, 0)
        self.at_least(f"{at}.completion", table.completion, 0)
        return Price(table.prompt, table.completion)

    def _options(
        self, at: str, table: MemberTable, strategy: str, manifest: Manifest | None
    ) -> Options:
        """Return the strategy's options: those of the file, else those that it was trained with."""
        try:
            by = strategies.get(strategy)
        except UnknownStrategy as error:
            raise self.fail(f"{at}.strategy", str(error)) from error
        for need in by.needs:
            if getattr(self.file.personas, need) is None:
                said = f"is needed by {at}, whose strategy is {strategy!r}"
                raise self.fail(f"personas.{need}", said)
        if table.strategy_options is None and manifest and manifest.train.strategy == strategy:
            return manifest.train.options
        try:
            options: Options = by.read(table.strategy_options or {})
        except StrategyOptionError as error:
            raise self.fail(f"{at}.strategy_options", str(error)) from error
        return options

    def _manifest(self, key: str, name: str | None) -> Manifest | None:
        if name is None:
            return None
        try:
            return read(self.path.parent / name)
        except ManifestError as error:
            raise self.fail(key, str(error)) from error
