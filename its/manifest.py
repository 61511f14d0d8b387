"""The co-design manifest `input_time.json`: how a checkpoint was trained, beside its weights.

The rule (Input-Time Scaling, arXiv 2508.13654: contexts in both stages, "not necessarily the
same type"): a checkpoint trained with a context is asked with one, and one trained without is
asked without. A context in one stage only degrades the result.
"""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from . import strategies
from .files import atomic_write
from .types import Layout, Placement

SCHEMA = 2
NAME = "input_time.json"
MERGED = "merged"
"""The folder that Axolotl merges an adapter into."""

StrategyName = Annotated[str, msgspec.Meta(extra_json_schema={"enum": [*strategies.STRATEGIES]})]
"""A plug-in's name is valid too; the schema of the file lists our own."""


class CoDesign(Enum):
    """Whether a member is asked as it was trained."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    UNVERIFIED = "unverified"


class ManifestError(ValueError):
    """A manifest that is missing or wrong; the message names file, key and remedy."""


class Personas(msgspec.Struct, frozen=True):
    """Where the training contexts came from; hashes are SHA-256 in hex.

    `distinct` is the number of different texts. `effective` is the inverse Simpson index
    (1 / sum of squared shares): so many texts, used equally often, would vary as much.
    """

    source: str = "bank"
    model: str | None = None
    prompt_sha256: str | None = None
    bank_sha256: str | None = None
    distinct: int | None = None
    effective: float | None = None


class Dataset(msgspec.Struct, frozen=True):
    """The data that the checkpoint was trained on.

    `rows` were drawn; `rows_trained` of them the trainer held, `rows_held_out` it did not learn.
    `sha256` is of `train.jsonl`; `tokens_sha256` of the token ids and labels that the trainer held
    (`sft.training.seen.tokens_sha256` defines it).
    """

    name: str
    rows: int | None = None
    sha256: str | None = None
    rows_held_out: int | None = None
    rows_trained: int | None = None
    tokens_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.rows is None or self.rows_trained is None:
            return
        if (counted := self.rows_trained + (self.rows_held_out or 0)) != self.rows:
            raise ValueError(
                f"rows is {self.rows}, and rows_trained + rows_held_out is {counted}: some rows"
                " were lost"
            )


class Train(msgspec.Struct, frozen=True):
    """How the contexts of the training data were chosen and placed, and what was trained.

    `system` is the system text of every row, `instruction` what joins every question by a blank
    line; `None`: `its-sft build` added none.
    `batch` is the number of rows a step; `steps` and `epochs` say how far the training had come
    when the checkpoint was saved.
    """

    strategy: StrategyName
    strategy_version: int = 1
    strategy_options: dict[str, Any] = {}
    placement: Placement = "before"
    separator: str = "\n\n"
    system: str | None = None
    instruction: str | None = None
    instruction_placement: Placement = "after"
    personas: Personas = Personas()
    dataset: Dataset | None = None
    seed: int = 0
    batch: int | None = None
    steps: int | None = None
    epochs: float | None = None
    world_size: int | None = None
    config_sha256: str | None = None
    versions: dict[str, str] = {}
    final_loss: float | None = None
    eval_loss: float | None = None

    def __post_init__(self) -> None:
        # An empty text would be added as blank lines only.
        for name in ("system", "instruction"):
            text = getattr(self, name)
            if text is not None and not text.strip():
                raise ValueError(f"{name} is empty; leave it out, or say null")
        strategy = strategies.get(self.strategy)
        try:
            strategy.recorded(self.strategy_options)
        except strategies.StrategyOptionError as error:
            raise ValueError(f"strategy_options: {error}") from error

    @property
    def has_context(self) -> bool:
        """Whether a context stood beside the questions."""
        return strategies.adds_context(self.strategy)

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 of what the contexts were chosen from, by name: `bank`, `notes`, ..."""
        options, end = self.strategy_options, strategies.SHA256
        names = strategies.get(self.strategy).needs
        found: dict[str, Any] = {name: options.get(f"{name}{end}") for name in names}
        found["bank"] = self.personas.bank_sha256
        return {name: sha256 for name, sha256 in found.items() if isinstance(sha256, str)}

    @property
    def options(self) -> strategies.Options:
        """The strategy's options, typed."""
        options: strategies.Options = strategies.get(self.strategy).recorded(self.strategy_options)
        return options


class Test(msgspec.Struct, frozen=True):
    """How the checkpoint's makers want it to be asked; `None` is the engine's own default."""

    __test__ = False  # not a test class of pytest's

    strategy: StrategyName | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    thinking: bool | None = None

    def __post_init__(self) -> None:
        if self.strategy is not None:
            strategies.get(self.strategy)


class Manifest(msgspec.Struct, frozen=True):
    """The whole file. Unknown keys from later versions are ignored."""

    schema: int
    base_model: str
    train: Train
    test: Test = Test()

    @property
    def layout(self) -> Layout:
        train = self.train
        return Layout(
            train.placement, train.separator,
            train.system, train.instruction, train.instruction_placement,
        )  # fmt: skip

    @property
    def test_strategy(self) -> str:
        return self.test.strategy or self.train.strategy


def read(path: Path) -> Manifest:
    """Read the manifest at `path`, which may be the checkpoint's folder.

    Raises:
        ManifestError: the file is missing, is no JSON, or lacks what serving needs.
    """
    path = path / NAME if path.is_dir() else path
    try:
        raw = path.read_bytes()
    except OSError as error:
        remedy = (
            "merge the adapter with `its-sft merge CONFIG`, which carries it over"
            if path.parent.name == MERGED
            else "it stands beside the weights of a checkpoint that its-sft made"
        )
        raise ManifestError(f"cannot read {path}: {error.strerror}; {remedy}") from error
    _check_schema(raw, path)
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason, _, key = str(error).partition(" - at `$.")
        at = f"{key.rstrip('`')}: " if key else ""
        raise ManifestError(f"{path} is no co-design manifest: {at}{reason}") from error
    return manifest


def _check_schema(raw: bytes, path: Path) -> None:
    """Refuse another schema first: the reader's own error would name a symptom of it."""
    try:
        schema = msgspec.json.decode(raw, type=_Version).schema
    except (msgspec.DecodeError, UnicodeDecodeError):
        return  # the whole reader says what is wrong
    if schema != SCHEMA:
        raise ManifestError(
            f"{path}: schema: is {schema}, and this version reads {SCHEMA} only; {_remedy(schema)}"
        )


def _remedy(schema: int) -> str:
    if schema > SCHEMA:
        return "update input-time-scaling"
    return (
        "an older one does not say what the trainer saw. Write a new one: build the data with"
        " `its-sft build`, then train with `its-sft train FILE.yml`"
    )


class _Version(msgspec.Struct):
    schema: int


def write(manifest: Manifest, path: Path) -> None:
    """Write `manifest` to `path`, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    atomic_write(path, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def schema() -> dict[str, Any]:
    """Return the JSON schema of the file (docs/input_time.schema.json)."""
    described = msgspec.json.schema(Manifest)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Input-Time Scaling co-design manifest",
        **described,
    }


def other_contexts(manifest: Manifest, served: Mapping[str, str]) -> list[str]:
    """Say why the same questions get other contexts than in training; nothing if they do not.

    `served` has the SHA-256 of what is served, by name (`bank`, `notes`, ...). It is no mismatch: a
    checkpoint that was trained with a context may be asked with any context.
    """
    train, told = manifest.train, list[str]()
    ours = strategies.get(train.strategy).version
    if train.strategy_version != ours:
        told.append(
            f"was trained with version {train.strategy_version} of the strategy"
            f" {train.strategy!r}, and this is version {ours}"
        )
    for name, trained in train.files.items():
        now = served.get(name, trained)
        if now != trained:
            shown = trained[: strategies.SHOWN], now[: strategies.SHOWN]
            told.append(
                f"was trained with contexts from another {name} file ({shown[0]}...) than"
                f" `personas.{name}` ({shown[1]}...)"
            )
    return told


def check(manifest: Manifest | None, strategy: str, layout: Layout | None = None) -> CoDesign:
    """Say whether asking with `strategy` (and `layout`) fits how the checkpoint was trained.

    Raises:
        UnknownStrategy: there is no such strategy; never without a manifest.
    """
    if manifest is None:
        return CoDesign.UNVERIFIED
    trained, asked = manifest.train.has_context, strategies.adds_context(strategy)
    same = layout is None or _what_counts(layout, asked) == _what_counts(manifest.layout, asked)
    return CoDesign.VERIFIED if trained == asked and same else CoDesign.MISMATCH


def _what_counts(layout: Layout, context: bool) -> tuple[str | None, ...]:
    """Return the parts of `layout` that shape a prompt, with a `context` in it or without."""
    where = layout.instruction_placement if layout.instruction else None
    around = (layout.placement, layout.separator) if context else ()
    return (layout.system, layout.instruction, where, *around)
