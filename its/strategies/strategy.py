"""What a strategy is, what it chooses from, and what it returns.

Nothing here loads the bank or the ranker: who reads a manifest needs the names alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, get_args, get_origin

import msgspec

from ..suggest import unknown
from ..types import Context

if TYPE_CHECKING:
    from ..notes import Notes
    from ..personas.bank import Bank, Persona

ShelfFile: TypeAlias = Literal["notes", "examples", "concepts"]
"""A file of rows `{text, question}` that a strategy retrieves from (`its.notes`)."""

SHOWN = 12
"""Characters of a file's SHA-256 that tell its version."""

SHA256 = "_sha256"
"""Ends the keys by which a manifest records the files that a strategy retrieved from."""


class StrategyOptionError(ValueError):
    """Options that a strategy cannot take; the message names strategy, key and remedy."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a strategy that has none."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """All that strategies may choose from."""

    bank: "Bank"
    notes: "Notes | None" = None
    examples: "Notes | None" = None
    concepts: "Notes | None" = None

    @property
    def hashes(self) -> tuple[str, ...]:
        """The SHA-256 of each file, `""` for one that is not there: together its version."""
        files = (self.bank, self.notes, self.examples, self.concepts)
        return tuple(file.sha256 if file is not None else "" for file in files)


@dataclass(frozen=True, slots=True)
class Pick:
    """A text that can stand as the context.

    `source` is `bank`, `languages`, the `ShelfFile` it came from, `template`, or `question` for
    what was read out of the question itself. `strategy` is the one that was drawn. `prompt` names
    the prompt by which a model may write a text instead (of the same `domain`, if it is a persona);
    `None` where the text stands as it is. `version` begins the SHA-256 of the `ShelfFile`.
    """

    text: str
    strategy: str
    source: str
    domain: str | None = None
    prompt: str | None = None
    version: str | None = None

    def context(self, seed: int) -> Context:
        """Return the text as the context that stands beside a question."""
        return Context(self.text, self.strategy, self.source, self.domain, seed, self.version)


O = TypeVar("O", bound=Options)  # noqa: E741


@dataclass(frozen=True, slots=True)
class Strategy(Generic[O]):
    """A way of choosing a context.

    `pick` is deterministic in its generator. `letter` ends the names of files: the paper's letter,
    or the name where the paper has none. `context` is false for the one that adds none. `needs`
    names what the shelf must have, `prompts` the prompts by which a model may write what is picked.
    `version` grows when the same seed picks another context.
    """

    name: str
    letter: str
    pick: Callable[[str, Shelf, Random, O], Pick | None]
    options: type[O]
    context: bool = True
    needs: Sequence[ShelfFile] = ()
    prompts: Sequence[str] = ()
    version: int = 1

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of its options."""
        return self.options.__struct_fields__

    def read(self, given: Mapping[str, Any]) -> O:
        """Return `given` as this strategy's options; texts, as a command line has them, convert.

        Raises:
            StrategyOptionError: a key is unknown, or a value is not one that it takes.
        """
        whose = f"the strategy {self.name!r}"
        fields = {field.name: field.type for field in msgspec.structs.fields(self.options)}
        for name, value in given.items():
            if name not in fields:
                raise StrategyOptionError(unknown("option", name, fields, whose))
            if get_origin(fields[name]) is Literal and value not in get_args(fields[name]):
                raise StrategyOptionError(unknown(name, str(value), get_args(fields[name]), whose))
        texts = {
            name: value.split(",")
            for name, value in given.items()
            if isinstance(value, str) and get_origin(fields[name]) is tuple
        }
        try:
            return msgspec.convert({**given, **texts}, self.options, strict=False)
        except msgspec.ValidationError as error:
            reason, _, key = str(error).partition(" - at `$.")
            at = f" {key.rstrip('`')!r}" if key else ""
            raise StrategyOptionError(f"Option{at} of {whose}: {reason}") from error

    def record(self, options: O, shelf: Shelf) -> dict[str, Any]:
        """Return what a manifest keeps: every option, and the hashes of the files that it needs."""
        files = {f"{need}{SHA256}": getattr(shelf, need).sha256 for need in self.needs}
        return {**msgspec.to_builtins(options), **files}

    def recorded(self, record: Mapping[str, Any]) -> O:
        """Return the options of a manifest's record.

        Raises:
            StrategyOptionError: as `read`.
        """
        files = {f"{need}{SHA256}" for need in self.needs}
        return self.read({key: value for key, value in record.items() if key not in files})

    def missing(self, shelf: Shelf) -> list[ShelfFile]:
        """Return what `shelf` lacks for this strategy."""
        return [need for need in self.needs if getattr(shelf, need) is None]


def person(persona: "Persona", strategy: str) -> Pick:
    """Return a persona of the bank, which a model may write anew by the strategy's own prompt."""
    return Pick(persona.text, strategy, "bank", persona.domain.name, strategy)
