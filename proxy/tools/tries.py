"""Whether every engine answers, and knows the names by which members ask for their models.

`its-proxy check --ask` shows it. Each engine is asked once for each model, for one token.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from its.suggest import unknown

from ..config.settings import SELF, EngineSettings, Settings
from .effects import scores
from .probe import SECONDS, SUM, EngineProbe, Missing

CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Tried:
    """A model on an engine, and who asks for it; `fault` says what is wrong (`None`: nothing)."""

    engine: str
    model: str
    askers: tuple[str, ...]
    told: str
    fault: str | None


def try_all(settings: Settings) -> Iterator[Tried]:
    """Yield each model of each engine as it has been tried."""
    for engine in settings.engines.values():
        askers = _askers(settings, engine.name)
        if engine.server != "base_url":
            names = tuple(name for each in askers.values() for name in each)
            yield Tried(engine.name, "", names, "embedded: it starts with its-proxy serve", None)
            continue
        headers = {"authorization": f"Bearer {engine.api_key}"} if engine.api_key else {}
        timeout = httpx.Timeout(SECONDS, connect=CONNECT_SECONDS)
        with httpx.Client(timeout=timeout, trust_env=False, headers=headers) as client:
            yield from _try_engine(client, engine, askers)


def _askers(settings: Settings, engine: str) -> dict[str, tuple[str, ...]]:
    """Return the models asked of an engine, each with the keys of the file that ask for it."""
    found: dict[str, tuple[str, ...]] = {}
    for member in settings.members.values():
        if member.engine == engine:
            found[member.model] = (*found.get(member.model, ()), f"members.{member.name}")
    writer = settings.personas.generator
    if writer and writer.engine == engine and writer.engine != SELF and writer.model:
        found[writer.model] = (*found.get(writer.model, ()), "personas.generate")
    return found


def _try_engine(
    client: httpx.Client, engine: EngineSettings, askers: dict[str, tuple[str, ...]]
) -> Iterator[Tried]:
    try:
        names = _names(client, engine.place)
    except httpx.TransportError as error:
        every = tuple(name for each in askers.values() for name in each)
        key = f"engines.{engine.name}.base_url"
        fault = f"no server answers at {engine.place} ({error}). Start it, or correct {key}"
        yield Tried(engine.name, "", every, "", fault)
        return
    if not askers:
        yield Tried(engine.name, "", (), f"answers; serves {', '.join(names) or 'no list'}", None)
    for model, by in askers.items():
        told, wrong = _try_model(EngineProbe(client, engine.place, model), engine, names)
        yield Tried(engine.name, model, by, told, wrong)


def _names(client: httpx.Client, url: str) -> list[str]:
    """Return the names that the engine lists; none if it lists none, which some engines do."""
    try:
        return [str(card["id"]) for card in client.get(f"{url}/models").json()["data"]]
    except (ValueError, LookupError, TypeError):
        return []


def _try_model(
    probe: EngineProbe, engine: EngineSettings, names: list[str]
) -> tuple[str, str | None]:
    """Return a remark, and what is wrong."""
    meant = unknown("model", probe.model, names) if names and probe.model not in names else ""
    try:
        if engine.kind == "reward":
            scores(probe)
        else:
            probe.chat(messages=SUM, max_tokens=1)
    except Missing as error:
        return "", f"{meant} The engine {error}" if meant else f"the engine {error}"
    except httpx.HTTPError as error:
        return "", f"{type(error).__name__}: {error}"[:200]
    return f"answers, though it lists other names: {', '.join(names)}" if meant else "answers", None
