"""The options of a method: typed, checked when they are parsed, with nested methods as tables."""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec.structs import replace

from ..suggest import unknown
from .seam import Case, Method, Need, Reply

Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Rounds: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=50)]
Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]

NAMING = ("judge", "writer", "scorer", "stronger")
"""Options that name a member; `stronger` may name a panel."""

_OF_TABLE = frozenset({"method", "members", "samples", "keep"})
"""Keys of the table of a nested method that are not its options."""


class OptionError(ValueError):
    """An option is wrong: `key` is its path within the options, `reason` says what to do."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}" if key else reason)
        self.key, self.reason = key, reason


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every method's options."""


class Voting(Options, frozen=True, kw_only=True):
    """Options of a method that knows how sure it is.

    Below `threshold` (of the verdict's `agreement`) the panel answers anyway, abstains, or asks
    another method: its name, or a table with `method` and its options.
    """

    threshold: Share = 0.0
    below: str | dict[str, Any] = "answer"

    def __post_init__(self) -> None:
        if self.below != "answer" and not self.threshold:
            raise ValueError("`below` needs `threshold`: the agreement under which it applies")


@dataclass(frozen=True, slots=True)
class Nested:
    """A method inside another: `keep` is how many drafts a layer hands on, all if it is not set."""

    name: str
    method: Method
    options: Any
    members: tuple[str, ...] | None
    samples: int | None
    keep: int | None

    def case(self, case: Case, path: str, round: int, drafts: Sequence[Reply]) -> Case:
        """Return what the nested method gets of `case`."""
        return replace(
            case,
            members=self.members or case.members,
            samples=self.samples or case.samples,
            options=self.options,
            quorum=None,
            drafts=tuple(drafts),
            path=f"{case.path}{path}/",
            round=case.round + round,
        )


def parse(method: Method, raw: Mapping[str, Any]) -> Any:
    """Return the options that `raw` holds, as the method's own type.

    Raises:
        OptionError: a key is unknown, or a value is of the wrong type or out of range.
    """
    _known(raw, [field.encode_name for field in msgspec.structs.fields(method.options)])
    for key, value in raw.items():
        _finite(key, value)
    try:
        options = msgspec.convert(dict(raw), method.options)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        raise OptionError(at.rstrip("`").removeprefix("."), reason) from error
    for key, table in _tables(options):
        try:
            nested(table)
        except OptionError as error:
            raise OptionError(f"{key}.{error.key}".rstrip("."), error.reason) from error
    return options


def nested(table: str | Mapping[str, Any]) -> Nested:
    """Return the method that a table (or a name alone) asks for.

    Raises:
        OptionError: there is no such method, or its options are wrong.
    """
    from .table import MethodError, find  # the table imports the methods, and they import this

    fields = {"method": table} if isinstance(table, str) else dict(table)
    if "method" not in fields:
        raise OptionError("method", "is missing: name the method")
    try:
        outer = msgspec.convert({k: v for k, v in fields.items() if k in _OF_TABLE}, _Table)
    except msgspec.ValidationError as error:
        reason, _, at = str(error).partition(" - at `$")
        raise OptionError(at.rstrip("`").removeprefix("."), reason) from error
    try:
        method = find(outer.method)
    except MethodError as error:
        raise OptionError("method", str(error)) from error
    options = parse(method, {k: v for k, v in fields.items() if k not in _OF_TABLE})
    return Nested(outer.method, method, options, outer.members, outer.samples, outer.keep)


class _Table(msgspec.Struct, frozen=True):
    method: str
    members: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)] | None = None
    samples: Count | None = None
    keep: Count | None = None


def named(options: Any) -> list[tuple[str, str]]:
    """Return every name of a member (or panel) in the options, nested ones too, with its key."""
    found = [(key, getattr(options, key, None)) for key in NAMING]
    names = [(key, name) for key, name in found if isinstance(name, str)]
    for key, table in _tables(options):
        inner = nested(table)
        names += [(f"{key}.members", member) for member in inner.members or ()]
        names += [(f"{key}.{under}", name) for under, name in named(inner.options)]
    return names


def needs_of(options: Any, *own: Need) -> frozenset[Need]:
    """Return a method's own needs with those of the methods nested in its options."""
    inner = [nested(table) for _, table in _tables(options)]
    needs = (
        one.method.needs(one.options) - ({"one_member"} if one.members else set()) for one in inner
    )
    return frozenset(own).union(*needs)


def with_members(options: Any) -> list[tuple[str, Nested]]:
    """Return the nested methods that have members of their own, with the keys of their tables."""
    found: list[tuple[str, Nested]] = []
    for key, table in _tables(options):
        inner = nested(table)
        found += [(key, inner)] if inner.members else []
        found += [(f"{key}.{under}", one) for under, one in with_members(inner.options)]
    return found


def pairs(written: Sequence[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` from a command line: values as in TOML, anything else as text.

    A dot leads into a table: `below.method=synthesize`.

    Raises:
        OptionError: there is no `=`, or a key goes into what is no table.
    """
    found: dict[str, Any] = {}
    for pair in written:
        path, equals, value = pair.partition("=")
        if not (equals and path):
            raise OptionError(pair, "write KEY=VALUE")
        *tables, key = path.strip().split(".")
        table = found
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise OptionError(path, f"{name!r} has a value already, so it is no table")
        table[key] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _known(raw: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in raw:
        if key not in keys:
            raise OptionError(str(key), unknown("option", str(key), keys))


def _finite(key: str, value: object) -> None:
    """Refuse nan and inf, which TOML can write, also where an option has no range."""
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(key, f"must be a finite number, not {value}")
    if isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _finite(f"{key}[{index}]", inner)


def _tables(options: Any) -> Iterator[tuple[str, str | Mapping[str, Any]]]:
    """Yield the nested methods of options, with their keys."""
    below = getattr(options, "below", "answer")
    if below not in ("answer", "abstain"):
        yield "below", below
    for index, layer in enumerate(getattr(options, "layers", ())):
        yield f"layers[{index}]", layer
