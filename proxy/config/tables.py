"""The tables of `panels.toml` as they are written; docs/config.md says what each key means."""

import re
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from its.manifest import StrategyName

from .settings import EngineKind, PersonaSource, StreamMode, SystemMismatch


class ConfigTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; a key it does not know is an error."""


class LogTable(ConfigTable, frozen=True):
    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"
    bodies: bool = False


class ServerTable(ConfigTable, frozen=True):
    host: str = "127.0.0.1"
    port: int = 8000
    graders: int | None = None
    max_body_mb: float = 8.0
    max_messages: int = 4096
    max_depth: int = 64
    read_seconds: float = 30.0
    max_seconds: float = 3600.0
    retries: int = 2
    retry_seconds: float = 10.0
    drain_seconds: int = 30
    cors_origins: list[str] = []
    allowed_hosts: list[str] = []
    page: bool = True
    keep_verdicts: int | None = None
    keep_texts: bool | None = None
    log: LogTable = LogTable()


class KeyTable(ConfigTable, frozen=True):
    secret: str
    models: list[str] | None = None
    max_concurrency: int | None = None
    metrics: bool = False
    tokens_per_minute: int | None = None


class EngineTable(ConfigTable, frozen=True):
    base_url: str | None = None
    embedded: str | None = None
    api_key: str | None = None
    max_concurrency: int = 256
    max_queue: int | None = None
    timeout_s: float = 1800.0
    forward_headers: list[str] = []
    kind: EngineKind = "chat"


class PriceTable(ConfigTable, frozen=True):
    prompt: float
    completion: float


class MemberTable(ConfigTable, frozen=True):
    engine: str
    model: str
    manifest: str | None = None
    strategy: StrategyName | None = None
    thinking: bool = False
    allow_mismatch: bool = False
    allow_fields: list[Literal["custom_logit_processor", "logits_processors"]] = []
    system_mismatch: SystemMismatch = "refuse"
    defaults: bool = False
    strategy_options: dict[str, Any] | None = None
    context_tokens: int | None = None
    price: PriceTable | None = None


class CandidatesTable(ConfigTable, frozen=True):
    file: str
    agreement: float = 0.8
    max_mb: float = 50.0


class PanelTable(ConfigTable, frozen=True):
    members: list[str]
    method: str = "majority"
    samples: int = 1
    max_samples: int = 64
    max_calls: int = 192
    quorum: int | None = None
    deadline_s: float = 1800.0
    early_stop: bool = True
    answers: str = "auto"
    json_keys: list[str] = []
    stream_mode: StreamMode = "verdict"
    options: dict[str, Any] = {}
    allow_options: list[str] = []
    max_tokens_total: int | None = None
    max_cost: float | None = None
    candidates: CandidatesTable | None = None


class GenerateTable(ConfigTable, frozen=True):
    engine: str
    model: str | None = None
    max_tokens: int = 120
    temperature: float = 0.8
    deadline_s: float = 20.0
    max_wait_s: float = 60.0
    max_concurrency: int = 16
    extra: dict[str, Any] = {}


class PersonasTable(ConfigTable, frozen=True):
    seed: int = 0
    order: list[PersonaSource] | None = None
    generate: GenerateTable | None = None
    store: str | None = None
    store_rows: int = 1_000_000
    bank: str | None = None
    notes: str | None = None
    examples: str | None = None
    concepts: str | None = None


class ConfigFile(ConfigTable, frozen=True):
    engines: dict[str, EngineTable]
    members: dict[str, MemberTable]
    server: ServerTable = ServerTable()
    keys: dict[str, KeyTable] = {}
    panels: dict[str, PanelTable] = {}
    personas: PersonasTable = PersonasTable()


def keys_at(path: str) -> tuple[str, ...]:
    """Return the keys that the table at msgspec's `path` may have, such as `.engines[...]`."""
    return tuple(_kind_at(path).__struct_fields__)


def values_at(path: str) -> tuple[str, ...]:
    """Return the values that the key at msgspec's `path` may have: its `Literal`."""
    return tuple(get_args(_kind_at(path)))


def _kind_at(path: str) -> Any:
    kind: Any = ConfigFile
    for name in re.findall(r"\.(\w+)|\[", path):
        kind = get_type_hints(kind)[name] if name else get_args(kind)[-1]
        if get_origin(kind) in (Union, UnionType):  # what may be left out
            kind = get_args(kind)[0]
    return kind
