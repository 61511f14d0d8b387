"""A run's parts: who was asked, from when on. Two servers in one figure are two models, or may be.

A run goes on with the server that it began with. Which one that is its address says, the model's
card in `/models` with the manifest of a checkpoint, and the weights that the engine names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from its.urls import without_secret

from ..errors import EvalError
from .server import ServedModels

_VOLATILE = frozenset({"created", "permission"})
"""Fields of a card that change with every look (vLLM)."""

_WEIGHTS = ("model_path", "weight_version", "quantization", "dtype", "lora_paths")
"""What an engine says of itself that makes another model of it."""


@dataclass(frozen=True, slots=True)
class AskedServer:
    """Who is asked. `card` is `None` where the server does not list its models."""

    base_url: str
    card: Mapping[str, Any] | None
    server: Mapping[str, Any]

    @staticmethod
    def of(server: ServedModels, model: str) -> "AskedServer":
        """Return who is asked when `model` is asked of `server`."""
        card = server.cards.get(model)
        return AskedServer(without_secret(server.url), card and _stable(card), server.facts)

    def record(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return it as a part in `run.json`, with what is known `about` the command."""
        part = {"base_url": self.base_url, "card": self.card, "server": dict(self.server)}
        return {**part, **about, "began": datetime.now(UTC).isoformat(timespec="seconds")}


def next_parts(
    before: Sequence[Mapping[str, Any]],
    asked: AskedServer,
    about: Mapping[str, Any],
    *,
    other: bool,
) -> list[Mapping[str, Any]]:
    """Return the parts of a run that now goes on with `asked`: a new one if anything changed.

    `other` allows another server than the last part's.

    Raises:
        EvalError: it is another one, and that is not allowed.
    """
    now = asked.record(about)
    if not before:
        return [now]
    last = before[-1]
    if not other and (fault := _difference(last, asked)):
        raise EvalError(
            f"the run was asked of {fault}. Two servers may serve two checkpoints under one name:"
            " --other-server goes on and records both; or choose another --out, or --fresh to"
            " start anew"
        )
    same = all(last.get(key) == value for key, value in now.items() if key != "began")
    return list(before) if same else [*before, now]


def _difference(last: Mapping[str, Any], asked: AskedServer) -> str | None:
    """Return how the server differs from the last part's; `None` if it may be the same."""
    was, now = str(last.get("base_url")), asked.base_url
    if was != now:
        return f"{was}, and this is {now}"
    card = last.get("card")
    told = last.get("server") or {}
    both = [key for key in _WEIGHTS if key in told and key in asked.server]
    pairs = [(told[key], asked.server[key], key) for key in both]
    if card is not None and asked.card is not None:
        pairs.insert(0, (card, asked.card, "its card of the model"))
    found = next(filter(None, (_first(*pair) for pair in pairs)), None)
    return f"{was}, and it has changed: {found}" if found else None


def _first(was: object, now: object, where: str) -> str | None:
    """Return the first place where two JSON values differ, with both."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        keys = sorted(was.keys() | now.keys())
        each = (_first(was.get(key), now.get(key), f"{where}.{key}") for key in keys)
        return next(filter(None, each), None)
    return None if was == now else f"{where} was {was!r:.200} and is {now!r:.200}"


def _stable(card: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in card.items() if key not in _VOLATILE}
