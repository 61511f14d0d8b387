"""`its-proxy init`: a commented configuration, from engines that run or from checkpoints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import tomlkit
from tomlkit.items import Table

from its import manifest
from its.manifest import Manifest, ManifestError

SECONDS = 5.0
CONTEXTS = ("similar", "unsimilar", "random")
"""The paper's strategies with a context, which `init` proposes where nothing is known."""

PROPOSED = (
    "Panels to choose from. To use one, remove the '# ' before its lines.",
    "",
    "Five samples of one model vote. Ask it with a temperature above 0.",
)
ONLY_IF_TRAINED = (
    "Use this for a checkpoint that was trained with contexts only:",
    "a context makes the answers of any other model worse.",
)
DEFAULT_ENGINE = "http://127.0.0.1:30000/v1"
FEWEST_FOR_A_VOTE = 2


HEAD = (
    "Written by its-proxy init; every key is in docs/config.md.",
    "",
    "[keys.me]               # without a key only this machine is served",
    'secret = "env:ITS_KEY"',
    "",
)
NO_MANIFEST = (
    "No manifest could be read, so the proxy cannot check how it was trained. Name it:",
    'manifest = "path/to/the/checkpoint"',
)


class InitError(Exception):
    """Nothing to write a configuration from; the message says what was tried."""


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A served model, or a checkpoint: `folder` is where its manifest may be read.

    `context_tokens` is what the engine says that it reads: SGLang and vLLM do.
    """

    engine: str
    model: str
    folder: Path | None
    manifest: Manifest | None
    context_tokens: int | None = None


def ask_engine(url: str) -> list[FoundModel]:
    """Return the models of the engine at `url` (up to /v1), with their manifests where readable.

    SGLang says by `/get_model_info` where its weights lie; on this machine the manifest is there.

    Raises:
        InitError: nobody answers, or not as an OpenAI-compatible server, or a manifest is broken.
    """
    root = url.rstrip("/").removesuffix("/v1")
    try:
        with httpx.Client(timeout=SECONDS, trust_env=False) as client:
            answer = client.get(f"{root}/v1/models")
            answer.raise_for_status()
            cards = [(str(card["id"]), card.get("max_model_len")) for card in answer.json()["data"]]
            info = client.get(f"{root}/get_model_info")
            place = info.json().get("model_path") if info.status_code == 200 else None
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InitError(f"{url}: no models are listed there: {error}") from error
    if not cards:
        raise InitError(f"{url}: serves no model")
    folder = Path(place) if isinstance(place, str) else None
    return [
        FoundModel(
            f"{root}/v1", name, folder, _manifest(folder), most if isinstance(most, int) else None
        )
        for name, most in cards
    ]


def look_at(folder: Path, engine: str) -> FoundModel:
    """Return the checkpoint in `folder`, to be served by `engine` under its folder's name.

    Raises:
        InitError: there is no manifest.
    """
    try:
        known = manifest.read(folder)
    except ManifestError as error:
        raise InitError(str(error)) from error
    return FoundModel(engine, folder.resolve().name, folder.resolve(), known)


def render(found: Sequence[FoundModel]) -> str:
    """Return the configuration (TOML)."""
    urls = list(dict.fromkeys(each.engine for each in found))
    names = _names(found)
    document = tomlkit.document()
    for line in HEAD:
        document.add(tomlkit.comment(line) if line else tomlkit.nl())
    engines, members = tomlkit.table(True), tomlkit.table(True)
    for number, url in enumerate(urls, 1):
        engines.append(f"e{number}", {"base_url": url})
    for name, each in zip(names, found, strict=True):
        members.append(name, _member(each, f"e{urls.index(each.engine) + 1}"))
    document.update({"engines": engines, "members": members})
    voters = [
        name
        for name, each in zip(names, found, strict=True)
        if each.manifest and each.manifest.train.has_context
    ]
    if len(voters) >= FEWEST_FOR_A_VOTE:
        panel = tomlkit.table()
        panel.add(tomlkit.comment("A majority of checkpoints that were trained with contexts."))
        panel.add("members", voters)
        panels = tomlkit.table(True)
        panels.append(f"vote{len(voters)}", panel)
        document.append("panels", panels)
    unknown = [name for name, each in zip(names, found, strict=True) if each.manifest is None]
    return tomlkit.dumps(document) + (_proposal(unknown, document) if unknown else "")


def _proposal(names: Sequence[str], document: tomlkit.TOMLDocument) -> str:
    """Return panels of the members `names`, which have no manifest, as comments to be removed."""
    first, members = names[0], document["members"]
    asked = {key: members[first][key] for key in ("engine", "model")}
    lines = ["", *PROPOSED, "[panels.samples5]", f'members = ["{first}"]', "samples = 5"]
    if len(names) >= FEWEST_FOR_A_VOTE:
        lines += ["", "All models vote.", f"[panels.vote{len(names)}]", _members(names)]
    lines += ["", f"Three contexts for {first}, which vote.", *ONLY_IF_TRAINED]
    for strategy in CONTEXTS:
        table = tomlkit.dumps({**asked, "strategy": strategy})
        lines += [f"[members.{first}-{strategy}]", *table.strip().splitlines()]
    lines += ["[panels.contexts3]", _members([f"{first}-{strategy}" for strategy in CONTEXTS])]
    return "\n" + "\n".join(f"# {line}".rstrip() for line in lines) + "\n"


def _members(names: Sequence[str]) -> str:
    return "members = [" + ", ".join(f'"{name}"' for name in names) + "]"


def _member(found: FoundModel, engine: str) -> Table:
    table = tomlkit.table()
    table.update({"engine": engine, "model": found.model})
    if found.context_tokens is not None:
        table.add("context_tokens", found.context_tokens)
    if found.manifest is None:
        for line in NO_MANIFEST:
            table.add(tomlkit.comment(line))
        table.add("strategy", tomlkit.item("none"))
        table["strategy"].comment("or similar, unsimilar, random, if it was trained with contexts")
    else:
        train, asked = found.manifest.train, found.manifest.test_strategy
        told = f"trained with {train.strategy!r} contexts, so asked with {asked!r} ones"
        if not train.has_context:
            told = "trained without contexts, so asked without"
        table.add("manifest", str(found.folder))
        table.add(tomlkit.comment(told))
    return table


def _names(found: Sequence[FoundModel]) -> list[str]:
    """Return a bare TOML key for each model, no two alike."""
    names: list[str] = []
    for each in found:
        bare = re.sub(r"[^A-Za-z0-9_-]+", "-", each.model.rpartition("/")[2]).strip("-") or "model"
        name, number = bare, 2
        while name in names:
            name, number = f"{bare}-{number}", number + 1
        names.append(name)
    return names


def _manifest(folder: Path | None) -> Manifest | None:
    """Return the checkpoint's manifest; `None` if it has none.

    Raises:
        InitError: it is broken, or of another schema: that must not pass for having none.
    """
    if folder is None or not (folder / manifest.NAME).is_file():
        return None
    try:
        return manifest.read(folder)
    except ManifestError as error:
        raise InitError(str(error)) from error
