"""What the running proxy knows: resolved, checked and frozen (`config` makes it from a file)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from its.manifest import CoDesign, Manifest, check
from its.methods.seam import Case, Method
from its.strategies import Options
from its.types import Layout

if TYPE_CHECKING:  # they load numpy, which most configurations do not need
    from its.notes import Notes
    from its.personas.bank import Bank

EngineKind: TypeAlias = Literal["chat", "reward"]
StreamMode: TypeAlias = Literal["verdict", "leader"]
ServerKind: TypeAlias = Literal["base_url", "embedded"]
"""The key of `[engines.NAME]` that says where an engine is, and so how it is started."""

SystemMismatch: TypeAlias = Literal["refuse", "warn"]
"""What becomes of a request with another system text than a member was trained with."""

PersonaSource: TypeAlias = Literal["store", "generate", "bank"]

SOURCES: tuple[PersonaSource, ...] = get_args(PersonaSource)
"""In the only order that makes sense: what is kept, what is written, what is always there."""

EMBEDDED_TOKENS = 2_048
"""What one slot of an embedded engine reads: llama.cpp divides its context over the slots."""

QUEUED = 8
"""How many wait for a slot of an engine or a key, for each call that may run."""

SELF = "self"
"""Stands for the member's own engine and model, where personas are written."""


@dataclass(frozen=True, slots=True)
class Client:
    """Whoever holds a key; `models` is `None` where all are allowed.

    `max_concurrency` bounds the engine calls that run at once for all its requests.
    """

    name: str
    secret: str = field(repr=False)
    models: frozenset[str] | None
    max_concurrency: int | None
    metrics: bool
    tokens_per_minute: int | None = None

    def may_use(self, model: str) -> bool:
        """Tell whether the key allows `model`."""
        return self.models is None or model in self.models


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """A model server; `place` is its address up to /v1, or the model file it is started on."""

    name: str
    server: ServerKind
    place: str
    api_key: str | None = field(repr=False)
    max_concurrency: int
    max_queue: int
    timeout_s: float
    forward_headers: tuple[str, ...]
    kind: EngineKind = "chat"


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in any one unit of money."""

    prompt: float
    completion: float


@dataclass(frozen=True, slots=True)
class Member:
    """A checkpoint on an engine, and how it is asked.

    `scores`: it is a reward model. `defaults`: where a request says nothing about sampling, the
    manifest's `test` does.
    """

    name: str
    engine: str
    model: str
    strategy: str
    layout: Layout
    manifest: Manifest | None
    thinking: bool
    allow_mismatch: bool
    allow_fields: frozenset[str]
    options: Options
    own_co_design: CoDesign
    scores: bool = False
    context_tokens: int | None = None
    price: Price | None = None
    system_mismatch: SystemMismatch = "refuse"
    defaults: bool = False

    def co_design(self, strategy: str, layout: Layout) -> CoDesign:
        """Return the verdict on another strategy or layout than the member's own."""
        return check(self.manifest, strategy, layout)


@dataclass(frozen=True, slots=True)
class CandidateSettings:
    """Where a panel's solved questions are kept for later notes: verdicts of at least `agreement`
    (0 to 1), while `file` has no more than `most_bytes`."""

    file: Path
    agreement: float
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Panel:
    """A model name made of several members, and how their answers become one.

    `max_samples` (of each member), `max_calls`, `max_tokens_total` and `max_cost` bound a request.
    `run` is the method; `raw_options` are its options as the file has them, and `case` is what the
    cases of all requests share. `drafting` are the members that answer, `everyone` also those that
    judge, write and score.
    """

    name: str
    members: tuple[str, ...]
    method: str
    samples: int
    max_samples: int
    max_calls: int
    quorum: int | None
    deadline_s: float
    early_stop: bool
    answers: str
    json_keys: tuple[str, ...]
    stream_mode: StreamMode
    run: Method
    raw_options: Mapping[str, Any]
    case: Case
    drafting: frozenset[str]
    everyone: tuple[str, ...]
    most_calls: int
    allow_options: tuple[str, ...]
    max_tokens_total: int | None
    max_cost: float | None
    candidates: CandidateSettings | None = None

    @property
    def has_budget(self) -> bool:
        """Whether its requests are held to a number of tokens or an amount of money."""
        return self.max_tokens_total is not None or self.max_cost is not None

    @property
    def votes(self) -> bool:
        """Whether its method asks all at once and votes."""
        return bool(getattr(self.run, "votes", False))

    @property
    def light(self) -> bool:
        """Whether a step of its method that compares nothing takes microseconds."""
        return bool(getattr(self.run, "light", False))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may be: bytes, messages, nesting, seconds, and repeated engine calls."""

    body: int
    messages: int
    depth: int
    read_seconds: float
    seconds: float
    retries: int
    retry_seconds: float


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Whether the page is served, how many verdicts are kept for it, and whether with their texts.

    `None` leaves it to who can reach the proxy: see `page.store.Verdicts`.
    """

    shown: bool = True
    keep_verdicts: int | None = None
    keep_texts: bool | None = None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """`bodies` writes what was asked and answered into the log: for debugging only."""

    format: Literal["console", "json"]
    level: Literal["debug", "info", "warning", "error"]
    bodies: bool


@dataclass(frozen=True, slots=True)
class Generator:
    """Who writes personas, and how it is asked; `sampling` is JSON with sorted keys.

    A text waits for its turn for `max_wait_s`, and is given up after `deadline_s` of writing.
    """

    engine: str
    model: str | None
    sampling: bytes
    deadline_s: float
    max_wait_s: float
    max_concurrency: int


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where written personas are kept; `rows` bounds a SQLite store."""

    url: str = field(repr=False)
    rows: int


@dataclass(frozen=True, slots=True)
class PersonaSettings:
    """Where contexts come from, first source first; the last one is always the bank."""

    seed: int
    order: tuple[PersonaSource, ...]
    generator: Generator | None
    store: StoreSettings | None
    bank: "Bank | None"
    """The user's own; `None`: ours."""
    notes: "Notes | None"
    examples: "Notes | None"
    concepts: "Notes | None"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the proxy runs on."""

    host: str
    port: int
    graders: int
    drain_seconds: int
    cors_origins: tuple[str, ...]
    allowed_hosts: frozenset[str]
    limits: Limits
    page: PageSettings
    log: LogSettings
    clients: tuple[Client, ...]
    engines: Mapping[str, EngineSettings]
    members: Mapping[str, Member]
    panels: Mapping[str, Panel]
    personas: PersonaSettings

    def engines_behind(self, client: Client) -> set[str]:
        """Return the names of the engines that serve the models which a key may use."""
        if client.models is None:
            return set(self.engines)
        panels = [panel for name, panel in self.panels.items() if client.may_use(name)]
        names = {member for panel in panels for member in panel.everyone}
        names |= {name for name in self.members if client.may_use(name)}
        return {self.members[name].engine for name in names}
