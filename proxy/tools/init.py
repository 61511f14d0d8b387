"""`its-proxy init`: a commented configuration, from engines that run or from checkpoints."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from its import manifest
from its.manifest import Manifest, ManifestError

SECONDS = 5.0
DEFAULT_ENGINE = "http://127.0.0.1:30000/v1"
FEWEST_FOR_A_VOTE = 2


class InitError(Exception):
    """Nothing to write a configuration from; the message says what was tried."""


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A served model, or a checkpoint: `folder` is where its manifest may be read."""

    engine: str
    model: str
    folder: Path | None
    manifest: Manifest | None


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
            names = [str(card["id"]) for card in answer.json()["data"]]
            info = client.get(f"{root}/get_model_info")
            place = info.json().get("model_path") if info.status_code == 200 else None
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InitError(f"{url}: no models are listed there: {error}") from error
    if not names:
        raise InitError(f"{url}: serves no model")
    folder = Path(place) if isinstance(place, str) else None
    return [FoundModel(f"{root}/v1", name, folder, _manifest(folder)) for name in names]


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
    engines = list(dict.fromkeys(each.engine for each in found))
    names = _names(found)
    lines = [
        "# Written by its-proxy init; every key is in docs/config.md.",
        "",
        "# [keys.me]               # without a key only this machine is served",
        '# secret = "env:ITS_KEY"',
        "",
    ]
    for number, engine in enumerate(engines, 1):
        lines += [f"[engines.e{number}]", f"base_url = {json.dumps(engine)}", ""]
    for name, each in zip(names, found, strict=True):
        lines += [*_member(name, each, engines.index(each.engine) + 1), ""]
    voters = [
        name
        for name, each in zip(names, found, strict=True)
        if each.manifest and each.manifest.train.strategy != "none"
    ]
    if len(voters) >= FEWEST_FOR_A_VOTE:
        told = ", ".join(json.dumps(name) for name in voters)
        lines += [
            "# A majority of checkpoints that were trained with contexts.",
            f"[panels.vote{len(voters)}]",
            f"members = [{told}]",
            "",
        ]
    return "\n".join(lines)


def _member(name: str, each: FoundModel, engine: int) -> list[str]:
    lines = [f"[members.{name}]", f'engine = "e{engine}"', f"model = {json.dumps(each.model)}"]
    if each.manifest is None:
        return [
            *lines,
            "# No manifest could be read, so nobody can check how it was trained. Name it:",
            '# manifest = "path/to/the/checkpoint"',
            'strategy = "none"        # or similar, unsimilar, random: as it was trained',
        ]
    train, asked = each.manifest.train, each.manifest.test_strategy
    return [
        *lines,
        f"manifest = {json.dumps(str(each.folder))}",
        f"# trained with {train.strategy!r} contexts, so asked with {asked!r} ones"
        if train.strategy != "none"
        else "# trained without contexts, so asked without",
    ]


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
